"""The benchmark's measurements: who is timed against whom, at what size, and what is reported of it.

A measurement is a function of no arguments that returns rows, dictionaries of one section of the
report each. PyTorch takes part where it is asked for: in the faster of two memory layouts, and
compiled.
"""

import functools
import sys

from minigan import backend, benchmark, data, peak_memory, recipes, workloads

SECTIONS = ("steps", "generator", "kernels", "threads", "batches")
STEP_BATCHES = {"chaudhary2024": (4, 128), "jeganathan2025": (100,)}  # the papers', and one that is large
GENERATOR_BATCH = 256
BATCH_SIZES = tuple(2**n for n in range(10))
KERNEL_TURN_SECONDS = 0.1
LEAST_SHARE = 0.005  # of a step's time: kernels that take less share a row
MOST_ROUNDS = 3  # where there is much to time and only the trend matters
PEAK = "matrix product"
OURS = "minigan"


class Contest:
    """What all measurements share: rounds, threads, and the competitors."""

    def __init__(self, rounds, threads, against_torch):
        self.rounds, self.threads, self.against_torch = rounds, threads, against_torch
        self.peak, self.peak_gflop = benchmark.matrix_product()

    def steps(self, recipe, batch_size):
        """Rows of one training step: minigan's, PyTorch's and compiled PyTorch's."""
        run = functools.partial(workloads.training_step, recipe, batch_size)
        gflop = sum(call.flops * call.count for call in workloads.kernel_calls(run())) / 1e9
        functions, layout = {OURS: run()}, ""
        if self.against_torch:
            from minigan import torch_peer

            make = functools.partial(torch_peer.make_step, recipe, batch_size, threads=self.threads)
            layout, functions = self._with_torch(functions, make)
        rows = self._race(f"{recipe}, batch {batch_size}", functions, gflop, batch_size)
        for row, who in zip(rows, ("minigan", "torch")):
            row["memory_mb"] = peak_memory.of_training_step(who, recipe, batch_size, self.threads, layout)
        return rows

    def generator(self, recipe, batch_size):
        """Rows of drawing a batch of images in eval mode."""
        draw = workloads.generation(recipe, batch_size)
        gflop = sum(call.flops * call.count for call in workloads.kernel_calls(draw)) / 1e9
        functions = {OURS: draw}
        if self.against_torch:
            from minigan import torch_peer

            make = functools.partial(torch_peer.make_generation, recipe, batch_size, threads=self.threads)
            _, functions = self._with_torch(functions, make)
        return self._race(f"{recipe}, batch {batch_size}", functions, gflop, batch_size)

    def kernels(self, recipe, batch_size):
        """[a measurement for each kernel that takes a share worth mentioning of a training step]."""
        step = workloads.training_step(recipe, batch_size)
        step()
        calls = workloads.kernel_calls(step)
        seconds = [
            timing.rounds[0] * call.count
            for call in calls
            for timing in benchmark.take_turns({str(call): call}, 1, KERNEL_TURN_SECONDS / 5)
        ]
        total = sum(seconds)
        shown = [(s, call) for s, call in zip(seconds, calls) if s >= LEAST_SHARE * total]
        what = f"{recipe}, batch {batch_size}"
        measurements = [functools.partial(self._kernel, what, call) for _, call in sorted(shown, key=lambda x: -x[0])]
        rest = total - sum(s for s, _ in shown)
        count = len(calls) - len(shown)
        row = {"what": what, "name": f"{count} others, together", "calls": 1, "ms": 1e3 * rest}
        return [*measurements, lambda: [row]]

    def thread_counts(self, recipe, batch_size):
        """Rows of a training step with one thread and with all."""
        rows = []
        functions = {OURS: workloads.training_step(recipe, batch_size)}
        if self.against_torch:
            functions = self._with_torch_eager(functions, recipe, batch_size)
        for threads in sorted({1, self.threads}):
            self._set_threads(threads)
            for timing in benchmark.take_turns(functions, min(self.rounds, MOST_ROUNDS)):
                first = next((r for r in rows if r["name"] == timing.name), None)
                ms = 1e3 * timing.median
                rows.append({
                    "what": f"{recipe}, batch {batch_size}", "name": timing.name, "threads": threads, "ms": ms,
                    "speedup": first["ms"] / ms if first else 1.0,
                })  # fmt: skip
        self._set_threads(self.threads)
        return rows

    def batch_sizes(self, recipe, batch_size):
        """Rows of a training step of some batch size."""
        what = f"{recipe}, batch {batch_size}"
        if batch_size < data.SMALLEST_BATCH:
            return [{"what": what, "name": f"(batch normalisation needs {data.SMALLEST_BATCH} images)"}]
        functions = {OURS: workloads.training_step(recipe, batch_size)}
        if self.against_torch:
            functions = self._with_torch_eager(functions, recipe, batch_size)
        timings = benchmark.take_turns(functions, min(self.rounds, MOST_ROUNDS))
        return self._rows(what, timings, batch_size)

    def _with_torch(self, functions, make):
        """(the faster layout, functions with PyTorch's and compiled PyTorch's)."""
        layout, eager = _faster_layout(make, 2)
        functions = {**functions, f"PyTorch, {layout}": eager}
        compiled = make(channels_last=layout == "channels-last", compiled=True)
        try:
            compiled()
        except RuntimeError as error:  # most often: there is no C++ compiler
            print(f"minigan: torch.compile does not work here: {str(error).splitlines()[0]}", file=sys.stderr)
            return layout, functions
        return layout, {**functions, "PyTorch, torch.compile": compiled}

    def _with_torch_eager(self, functions, recipe, batch_size):
        from minigan import torch_peer

        make = functools.partial(torch_peer.make_step, recipe, batch_size, threads=self.threads)
        layout, eager = _faster_layout(make, 1)
        return {**functions, f"PyTorch, {layout}": eager}

    def _kernel(self, what, call):
        functions = {OURS: call}
        if self.against_torch:
            from minigan import torch_kernels

            if call.kernel in torch_kernels.KERNELS:
                make = functools.partial(torch_kernels.make_kernel, call.kernel, call.arguments)
                _, functions["PyTorch"] = _faster_layout(make, 1, KERNEL_TURN_SECONDS)
        row, *theirs = self._race(what, functions, call.flops / 1e9, None, KERNEL_TURN_SECONDS)
        row.update(name=str(call), calls=call.count, algorithm=call.algorithm)
        if theirs:
            row["torch_ms"], row["ratio"] = theirs[0]["ms"], theirs[0]["ratio"]
        return [row]

    def _race(self, what, functions, gflop, batch_size, seconds=benchmark.TURN_SECONDS):
        """Rows of functions that take turns, a large matrix product among them."""
        *timings, peak = benchmark.take_turns({**functions, PEAK: self.peak}, self.rounds, seconds)
        rows = self._rows(what, timings, batch_size)
        for row, timing in zip(rows, timings):
            if gflop:
                row["gflops"] = gflop / timing.median
                row["share_of_peak"] = row["gflops"] / (self.peak_gflop / peak.median)
        return rows

    def _rows(self, what, timings, batch_size):
        rows = []
        for timing in timings:
            row = {"what": what, "name": timing.name, "ms": 1e3 * timing.median}
            if batch_size:
                row["images_per_second"] = batch_size / timing.median
            if timing is not timings[0]:
                row["ratio"] = dict(zip(("median", "least", "greatest"), benchmark.ratios(timings[0], timing)))
            rows.append(row)
        return rows

    def _set_threads(self, threads):
        backend.set_threads(threads)
        if self.against_torch:
            import torch

            torch.set_num_threads(threads)


def _faster_layout(make, rounds, seconds=benchmark.TURN_SECONDS):
    """(name, function) of the memory layout in which PyTorch is faster; make(channels_last=...) returns the function."""
    layouts = {name: make(channels_last=name == "channels-last") for name in ("channels-first", "channels-last")}
    best = min(benchmark.take_turns(layouts, rounds, seconds), key=lambda timing: timing.median).name
    return best, layouts[best]


def measurements(contest, section, names, batch_size=None):
    """The measurements of a section for recipes of these names, each at its usual sizes or at `batch_size`."""
    for name in names:
        paper = recipes.RECIPES[name].batch_size
        if section == "steps":
            for size in [batch_size] if batch_size else STEP_BATCHES[name]:
                yield functools.partial(contest.steps, name, size)
        elif section == "generator":
            yield functools.partial(contest.generator, name, batch_size or GENERATOR_BATCH)
        elif section == "kernels":
            yield from contest.kernels(name, batch_size or STEP_BATCHES[name][-1])
        elif section == "threads":
            yield functools.partial(contest.thread_counts, name, batch_size or paper)
        elif section == "batches":
            for size in BATCH_SIZES:
                yield functools.partial(contest.batch_sizes, name, size)

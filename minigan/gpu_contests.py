"""The benchmark's measurements on a GPU: minigan against PyTorch in every way that PyTorch is run there.

Rows as in `contests.py`. A competitor that fails has a row that says why, and the others their numbers.
"""

import functools
import platform

from minigan import backend, benchmark, data, gpu_benchmark, workloads
from minigan.errors import UserError
from minigan.gpu_benchmark import Race, say

SECTIONS = ("steps", "generator", "kernels", "batches")
STEP_BATCHES = {"chaudhary2024": (4, 128), "jeganathan2025": (100, 128)}
GENERATOR_BATCH = 256
BATCH_SIZES = tuple(2**n for n in range(1, 12, 2))
KERNEL_TURN_SECONDS = 0.05
KERNEL_TRIAL_TURNS = 10
LEAST_SHARE = 0.005  # of a step's time: kernels that take less share a row
MOST_ROUNDS = 3  # where there is much to time and only the trend matters
OURS = "minigan"


class Contest:
    """What all measurements share: rounds, precision, the competitors and what the device can do at most.

    device, torch_device: where minigan and PyTorch compute; "cpu" and "cpu" rehearse it all without a GPU.
    Raises UserError where there is no GPU, for minigan or for PyTorch, or it lacks the precision.
    """

    def __init__(self, rounds, precision, against_torch, device="gpu", torch_device="cuda"):
        self.rounds, self.precision = rounds, precision
        self.against_torch, self.device, self.torch_device = against_torch, device, torch_device
        backend.select_device(device)
        backend.set_precision(precision, device)
        if against_torch:
            from minigan import torch_gpu

            torch_gpu.prepare(precision, torch_device)
        self.limits = self._limits()

    def machine(self):
        """The GPU and the versions of what computes on it, in words."""
        words = f"{gpu_benchmark.machine(self.device)}, Python {platform.python_version()}"
        if self.against_torch:
            from minigan import torch_gpu

            words += f", {torch_gpu.version()}"
        return words

    def steps(self, recipe, batch_size):
        """Rows of one training step: minigan's, captured and not, and PyTorch's, eager, compiled and captured."""
        race = Race(f"{recipe}, batch {batch_size}")
        race.enter(OURS, lambda: self._training(recipe, batch_size))
        race.enter(f"{OURS}, --no-graph", lambda: self._training(recipe, batch_size, graph=False))
        if self.against_torch:
            from minigan import torch_gpu

            self._enter_torch(race, functools.partial(torch_gpu.training, recipe, batch_size))
        return self._rows(race, self.rounds, batch_size, _operations(lambda: self._step_calls(recipe, batch_size)))

    def generator(self, recipe, batch_size):
        """Rows of drawing a batch of images in eval mode."""
        race = Race(f"{recipe}, batch {batch_size}")
        draw = workloads.generation(recipe, batch_size, self.device)
        race.enter(f"{OURS}, CUDA graph", lambda: gpu_benchmark.graphed(draw, self.device, 1))
        race.enter(OURS, lambda: gpu_benchmark.repeated(draw, gpu_benchmark.synchronizer(self.device)))
        if self.against_torch:
            from minigan import torch_gpu

            self._enter_torch(race, functools.partial(torch_gpu.generation, recipe, batch_size))
        return self._rows(race, self.rounds, batch_size, _operations(lambda: workloads.kernel_calls(draw, self.device)))

    def kernels(self, recipe, batch_size):
        """Rows of the kernels that take a share worth mentioning of a training step, and one of the rest."""
        what = f"{recipe}, batch {batch_size}"
        trial = Race(what, KERNEL_TURN_SECONDS, quiet=True)
        calls = {f"{call} ({i})": call for i, call in enumerate(self._step_calls(recipe, batch_size))}
        say(f"{what}: {len(calls)} kernels")
        rows = []
        for key, call in calls.items():
            if not trial.enter(key, functools.partial(gpu_benchmark.graphed, call, self.device, gpu_benchmark.CALLS)):
                rows.append({"what": what, "name": str(call), "calls": call.count, "failure": trial.failures[key]})
        seconds = {
            key: gpu_benchmark.seconds_of(competitor, KERNEL_TRIAL_TURNS) * calls[key].count
            for key, competitor in trial.competitors.items()
        }
        total = sum(seconds.values())
        shown = [
            key
            for key in sorted(seconds, key=lambda key: seconds[key], reverse=True)
            if seconds[key] >= LEAST_SHARE * total
        ]
        rows += [self._kernel(what, calls[key], trial.competitors[key]) for key in shown]
        rest = [s for key, s in seconds.items() if key not in shown]
        return [*rows, {"what": what, "name": f"{len(rest)} others, together", "calls": 1, "ms": 1e3 * sum(rest)}]

    def batch_sizes(self, recipe, batch_size):
        """Rows of a training step of some batch size: minigan's, and PyTorch's eager and captured."""
        race = Race(f"{recipe}, batch {batch_size}")
        race.enter(OURS, lambda: self._training(recipe, batch_size))
        if self.against_torch:
            from minigan import torch_gpu

            self._enter_torch(race, functools.partial(torch_gpu.training, recipe, batch_size), compiled=False)
        return self._rows(race, min(self.rounds, MOST_ROUNDS), batch_size)

    def _limits(self):
        """What the device can do at most: {name: {"value": a number, "unit": of what}}."""
        say("measuring the copy bandwidth and the matrix rate")
        measures = {"copy bandwidth": (functools.partial(gpu_benchmark.copy_bandwidth, self.device), 1e9, "GB/s")}
        if self.against_torch:
            from minigan import torch_gpu

            product = functools.partial(torch_gpu.matrix_rate, self.precision, self.torch_device)
            measures["matrix product"] = product, 1e12, "TFLOP/s"
            error = functools.partial(torch_gpu.convolution_error, self.torch_device)
            measures["largest error of PyTorch's float32 convolutions"] = error, 1, "of the largest value"
        elif self.precision == "float32":
            measures["matrix product"] = functools.partial(gpu_benchmark.matrix_rate, self.device), 1e12, "TFLOP/s"
        limits = {}
        for name, (measure, scale, unit) in measures.items():
            try:
                limits[name] = {"value": measure() / scale, "unit": unit}
            except Exception as error:
                gpu_benchmark.report_failure(name, error)
        return limits

    def _enter_torch(self, race, make, compiled=True):
        """PyTorch in its faster layout: eager, captured, and unless told otherwise compiled, with and without graphs."""
        from minigan import torch_gpu

        make = functools.partial(make, device=self.torch_device, precision=self.precision)
        race.enter_faster_layout("PyTorch", make)
        last = race.enter_faster_layout("PyTorch, CUDA graph", functools.partial(make, graph=True))
        if not compiled:
            return
        modes = torch_gpu.COMPILED, torch_gpu.COMPILED_WITH_GRAPHS
        compiled_make = [functools.partial(make, channels_last=last, compiled=mode) for mode in modes]
        race.enter("PyTorch, torch.compile", compiled_make[0])
        race.enter("PyTorch, torch.compile with CUDA graphs", compiled_make[1])
        race.enter("PyTorch, CUDA graph of torch.compile", functools.partial(compiled_make[0], graph=True))

    def _kernel(self, what, call, ours):
        """The row of a kernel."""
        race = Race(f"{what}: {call}", KERNEL_TURN_SECONDS, quiet=True)
        race.competitors[OURS] = ours
        row = {"what": what, "name": str(call), "calls": call.count}
        if self.against_torch:
            from minigan import torch_gpu, torch_kernels

            place = self.torch_device, self.precision
            if call.kernel in torch_kernels.KERNELS:
                race.enter_faster_layout(
                    "PyTorch", functools.partial(torch_gpu.kernel, call.kernel, call.arguments, *place)
                )
            if call.flops:
                try:
                    row["difference"] = torch_kernels.difference(call.kernel, call.arguments, *place)
                except Exception as error:
                    gpu_benchmark.report_failure(f"{race.what}: the comparison with PyTorch's result", error)
        found = {found["name"]: found for found in self._rows(race, self.rounds, None, call.flops)}
        row.update({key: value for key, value in found.pop(OURS).items() if key not in row})
        reads_all = not call.flops and call.kernel != "gather_images"  # which reads few of the images
        if "ms" in row and reads_all and "copy bandwidth" in self.limits:
            row["share_of_copy"] = call.bytes / (1e6 * row["ms"]) / self.limits["copy bandwidth"]["value"]
        for theirs in found.values():
            if "ms" in theirs:
                row["torch_ms"], row["ratio"] = theirs["ms"], theirs.get("ratio")
        say(f"{race.what}: " + ", ".join(f"{key} {row[key]:.4f}" for key in ("ms", "torch_ms") if key in row))
        return row

    def _training(self, recipe, batch_size, graph=True):
        """The Competitor of minigan's training."""
        steps = workloads.training_steps(recipe, batch_size, self.device, graph)
        return gpu_benchmark.Competitor(steps, gpu_benchmark.synchronizer(self.device))

    def _step_calls(self, recipe, batch_size):
        """The KernelCalls of a training step."""
        steps = workloads.training_steps(recipe, batch_size, self.device, graph=False)
        return workloads.kernel_calls(lambda: steps(1), self.device)

    def _rows(self, race, rounds, batch_size, operations=0):
        """Rows of the competitors in a race; ratios are those of the first to each other."""
        timings = race.run(rounds)
        rows = []
        for timing in timings:
            row = {"what": race.what, "name": timing.name, "ms": 1e3 * timing.median}
            if batch_size:
                row["images_per_second"] = batch_size / timing.median
            if operations:
                row["tflops"] = operations / timing.median / 1e12
                if "matrix product" in self.limits:
                    row["share_of_peak"] = row["tflops"] / self.limits["matrix product"]["value"]
            if timing is not timings[0] and timings[0].name.startswith(OURS):
                row["ratio"] = dict(zip(("median", "least", "greatest"), benchmark.ratios(timings[0], timing)))
            rows.append(row)
            if not race.quiet:
                say(f"{race.what}: {timing.name}: {row['ms']:.4f} ms")
        failures = [{"what": race.what, "name": name, "failure": why} for name, why in race.failures.items()]
        return rows + failures


def measurements(contest, section, names, batch_size=None):
    """The measurements of a section for recipes of these names, each at its usual sizes or at `batch_size`.

    Each is a function of no arguments that returns rows; one that fails returns a row that says so.
    Raises UserError for a batch of one image.
    """
    if batch_size and batch_size < data.SMALLEST_BATCH:
        raise UserError(f"--batch-size {batch_size}: batch normalisation needs {data.SMALLEST_BATCH} images")
    for name in names:
        if section == "steps":
            sizes, measure = STEP_BATCHES[name], contest.steps
        elif section == "generator":
            sizes, measure = (GENERATOR_BATCH,), contest.generator
        elif section == "kernels":
            sizes, measure = STEP_BATCHES[name][-1:], contest.kernels
        else:  # batches
            sizes, measure = BATCH_SIZES, contest.batch_sizes
        for size in [batch_size] if batch_size else sizes:
            yield functools.partial(_measured, contest, measure, name, size)


def _measured(contest, measure, name, size):
    try:
        return measure(name, size)
    except Exception as error:
        what = f"{name}, batch {size}"
        gpu_benchmark.report_failure(what, error)
        return [{"what": what, "name": "the measurement", "failure": gpu_benchmark.reason(error)}]
    finally:
        if contest.against_torch:
            from minigan import torch_gpu

            torch_gpu.free()


def _operations(calls):
    """The operations of the convolutions among the KernelCalls calls(), or 0 where finding them fails."""
    try:
        return sum(call.flops * call.count for call in calls())
    except Exception as error:
        gpu_benchmark.report_failure("counting operations", error)
        return 0

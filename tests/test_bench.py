"""The benchmark command: its tables and its JSON, with and without PyTorch beside it."""

import functools
import json
import math
import shutil
import time

import numpy as np
import pytest
from conftest import assert_refused, run_command, run_process

from minigan import backend, bench, benchmark, contests, gpu_benchmark, gpu_contests, workloads
from minigan.kernels.cuda import emulation

SHORT = {
    benchmark: {"SLEEP_SECONDS": 0},
    contests: {"KERNEL_TURN_SECONDS": 0.002},
    gpu_benchmark: {"MATRIX_SIZE": 64, "COPY_BYTES": 1 << 16, "TURN_SECONDS": 0.01, "LAYOUT_ROUNDS": 1, "CALLS": 2},
    gpu_contests: {"KERNEL_TURN_SECONDS": 0.001, "KERNEL_TRIAL_TURNS": 1, "BATCH_SIZES": (2, 4)},
}
SHORT_DEFAULTS = {
    benchmark.matrix_product: (64,),
    benchmark.take_turns: (0.01, lambda: None),
    contests.Contest._race: (0.01,),
    contests._faster_layout: (0.01,),
    gpu_benchmark.Race.__init__: (0.01, False),
}
CHAUDHARY = ["--recipe", "chaudhary2024", "--batch-size", 8, "--rounds", 1]


@pytest.fixture
def short_turns(monkeypatch):
    """Turns of the benchmarks that are short, and a small matrix product and copy."""
    for module, values in SHORT.items():
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
    for function, values in SHORT_DEFAULTS.items():
        monkeypatch.setattr(function, "__defaults__", values)


def report_of(*arguments):
    process = run_command("minigan.bench", *arguments, "--json")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_step_against_torch_and_compiled_torch(short_turns):
    pytest.importorskip("torch")
    report = report_of(*CHAUDHARY, "--only", "steps", "--against", "torch")
    ours, eager, compiled = report["sections"]["steps"]
    assert ours["name"] == "minigan" and eager["name"].startswith("PyTorch, ch") and "compile" in compiled["name"]
    for theirs in (eager, compiled):
        assert theirs["ratio"]["median"] == pytest.approx(ours["ms"] / theirs["ms"])
    assert ours["images_per_second"] == pytest.approx(8000 / ours["ms"])
    assert 0 < ours["share_of_peak"] < 10 and 10 < ours["memory_mb"] < 2000 and 10 < eager["memory_mb"] < 2000


def test_every_kernel_against_torch(short_turns):
    pytest.importorskip("torch")
    rows = report_of("--only", "kernels", *CHAUDHARY, "--against", "torch")["sections"]["kernels"]
    assert any(row["name"].startswith("C 16x28x14x14, 16x56x8x8, 4x4/2") for row in rows)
    for row in rows[:-1]:
        assert row["ms"] > 0 and row["calls"] >= 1
        assert ("gflops" in row) == (row["name"][:2] in ("C ", "T ", "G "))
    assert any("torch_ms" in row for row in rows)


def test_pytorchs_kernels_compute_what_ours_do():
    torch_kernels = pytest.importorskip("minigan.torch_kernels")
    calls = [
        call
        for recipe in contests.STEP_BATCHES
        for call in workloads.kernel_calls(workloads.training_step(recipe, 3))
        if call.kernel in workloads.CONVOLUTIONS
    ]
    assert len(calls) > 20
    for call in calls:
        call()
        out = call.arguments[5]
        for channels_last in (False, True):
            tensors = torch_kernels.as_tensors(call.arguments, channels_last)
            found = torch_kernels.KERNELS[call.kernel](*tensors)()
            found = found[1] if isinstance(found, tuple) else found
            np.testing.assert_allclose(found.numpy().reshape(out.shape), out, atol=1e-3 * abs(out).max(), err_msg=call)


def test_operations_of_a_step():
    calls = workloads.kernel_calls(workloads.training_step("chaudhary2024", 2))
    layer = 2 * math.prod((56, 8, 8)) * math.prod((28, 4, 4))
    shapes = {(28, 14, 14), (56, 8, 8)}
    total = sum(
        c.flops * c.count for c in calls if c.kernel in workloads.CONVOLUTIONS and {s[1:] for s in c.shapes} >= shapes
    )
    # D's step: C, T, G of 4 images each; G's step through D: C, T of 2; G's own: T, C, G of 2.
    assert total == layer * (3 * 4 + 2 * 2 + 3 * 2)


def test_the_table_names_machine_and_threads(short_turns):
    process = run_process("minigan.bench", *CHAUDHARY, "--only", "steps", "threads", "--threads", 1)
    assert process.returncode == 0 and "threads: 1" in process.stdout and "images/s" in process.stdout
    assert "speedup" in process.stdout


def test_batches_of_one_are_explained_not_timed(short_turns, monkeypatch):
    monkeypatch.setattr(contests, "BATCH_SIZES", (1, 2))
    contest = contests.Contest(1, 2, against_torch=False)
    one, two = (measure() for measure in contests.measurements(contest, "batches", ["jeganathan2025"]))
    assert "needs 2 images" in one[0]["name"] and two[0]["ms"] > 0


@pytest.mark.parametrize("recipe", ["chaudhary2024", "jeganathan2025"])
def test_the_generator_alone(short_turns, recipe):
    process = run_command("minigan.bench", "--only", "generator", "--recipe", recipe, "--batch-size", 8, "--rounds", 1)
    assert process.returncode == 0, process.stderr
    assert "The generator alone" in process.stdout and f"{recipe}, batch 8" in process.stdout


def test_bad_arguments():
    assert_refused(run_command("minigan.bench", "--rounds", "0"), "--rounds")
    assert_refused(run_command("minigan.bench", "--recipe", "nonsense"), "nonsense")
    assert_refused(run_command("minigan.bench", "--only", "nonsense"), "nonsense")
    assert_refused(run_command("minigan.bench", "--only", "steps", "--batch-size", "1"), "--batch-size 1")


def test_competitors_take_turns():
    calls = []

    def step(name):
        calls.append(name)
        time.sleep(0.1)

    steps = {name: functools.partial(step, name) for name in "ab"}
    timings = benchmark.take_turns(steps, rounds=2)
    turns = [name for name, before in zip(calls, [None, *calls]) if name != before]
    assert turns[-4:] == list("abab") and [len(t.rounds) for t in timings] == [2, 2]


@pytest.fixture
def rehearsal(short_turns, monkeypatch):
    """The GPU's benchmark on the CPU, minigan's part and PyTorch's, PyTorch's without graphs."""
    select_device = backend.select_device
    monkeypatch.setattr(backend, "select_device", lambda name: select_device("cpu"))
    monkeypatch.setattr(backend, "set_precision", lambda name, device: None)
    monkeypatch.setattr(gpu_contests.Contest.__init__, "__defaults__", ("cpu", "cpu"))


@pytest.mark.parametrize(
    ("recipe", "precision"),
    [("chaudhary2024", "float32"), ("jeganathan2025", "tf32"), ("jeganathan2025", "bf16"), ("chaudhary2024", "fp16")],
)
def test_steps_on_a_gpu_against_torch_rehearsed(rehearsal, monkeypatch, capsys, recipe, precision):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch, "compile", lambda network, mode, dynamic: network)
    only = ["--only", "steps", "--recipe", recipe, "--batch-size", "4", "--rounds", "1", "--json"]
    assert bench.main(["--device", "gpu", "--against", "torch", "--precision", precision, *only]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["precision"] == precision and report["limits"]["copy bandwidth"]["value"] > 0
    rows = report["sections"]["steps"]
    names = [row["name"].split(", channels")[0] for row in rows]
    assert names == [
        "minigan", "minigan, --no-graph", "PyTorch", "PyTorch, CUDA graph", "PyTorch, torch.compile",
        "PyTorch, torch.compile with CUDA graphs", "PyTorch, CUDA graph of torch.compile",
    ]  # fmt: skip
    for row in rows:
        assert row["ms"] > 0 and row["tflops"] > 0 and row["share_of_peak"] > 0
        assert ("ratio" in row) == (row["name"] != "minigan")


def test_other_sections_of_a_gpu_against_torch_rehearsed(rehearsal, monkeypatch, capsys):
    monkeypatch.setattr(pytest.importorskip("torch"), "compile", lambda network, mode, dynamic: network)
    only = ["--only", "generator", "kernels", "batches", "--recipe", "chaudhary2024", "--rounds", "1"]
    assert bench.main(["--device", "gpu", "--against", "torch", "--batch-size", "4", *only]) == 0
    printed = capsys.readouterr().out
    assert "failed" not in printed and "copy bandwidth" in printed and "of matrix rate" in printed


def test_kernels_of_the_emulated_gpu(short_turns, capsys):
    torch_gpu = pytest.importorskip("minigan.torch_gpu")
    with emulation.active():
        contest = gpu_contests.Contest(1, "float32", True, "gpu", "cpu")
        (measure,) = gpu_contests.measurements(contest, "kernels", ["chaudhary2024"], 2)
        rows = measure()
        assert "emulated" in contest.machine() and torch_gpu.version() in contest.machine()
    convolutions = [row for row in rows if row["name"][:2] in ("C ", "T ", "G ")]
    assert len(convolutions) > 5 and not any("failure" in row for row in rows)
    for row in convolutions:
        assert row["difference"] < 1e-4 and row["tflops"] > 0 and row["torch_ms"] > 0


def test_a_competitor_that_fails_is_reported_and_the_others_go_on(rehearsal, monkeypatch, capsys):
    torch_gpu = pytest.importorskip("minigan.torch_gpu")
    monkeypatch.setattr(torch_gpu.torch, "compile", lambda network, mode, dynamic: network)
    training = torch_gpu.training

    def failing(*arguments, graph=False, **options):
        if graph:
            raise RuntimeError("capture refused\nfor some reason")
        return training(*arguments, **options)

    monkeypatch.setattr(torch_gpu, "training", failing)
    only = ["--only", "steps", "--recipe", "chaudhary2024", "--batch-size", "4", "--rounds", "1"]
    assert bench.main(["--device", "gpu", "--against", "torch", *only]) == 0
    out, told = capsys.readouterr()
    assert "PyTorch, CUDA graph of torch.compile: failed (RuntimeError: capture refused)" in out
    assert "PyTorch, torch.compile  " in out and "in failing" in told


def test_competitors_that_fail_in_the_race_drop_out():
    def failing(count):
        turns.append(count)
        if len(turns) > 4:
            raise RuntimeError("tired")

    turns = []
    race = gpu_benchmark.Race("a race", 0.01, quiet=True)
    race.enter("sound", lambda: gpu_benchmark.Competitor(lambda count: time.sleep(0.001 * count), lambda: None, 2))
    assert race.enter("failing", lambda: gpu_benchmark.Competitor(failing, lambda: None))
    (timing,) = race.run(3)
    assert timing.name == "sound" and len(timing.rounds) == 3 and timing.median == pytest.approx(5e-4, rel=0.5)
    assert race.failures == {"failing": "RuntimeError: tired"}


def test_bad_arguments_for_a_device():
    assert_refused(run_command("minigan.bench", "--precision", "tf32"), "--precision")
    assert_refused(run_command("minigan.bench", "--device", "gpu", "--threads", "1"), "--threads")
    assert_refused(run_command("minigan.bench", "--device", "gpu", "--only", "threads"), "threads", "steps")

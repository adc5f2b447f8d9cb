"""The benchmark command: its tables and its JSON, with and without PyTorch beside it."""

import functools
import json
import math
import shutil
import time

import numpy as np
import pytest
from conftest import assert_refused, run_command

from minigan import benchmark, contests, workloads

CHAUDHARY = ["--recipe", "chaudhary2024", "--batch-size", 8, "--rounds", 1]


def report_of(*arguments):
    process = run_command("minigan.bench", *arguments, "--json")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_step_against_torch_and_compiled_torch():
    pytest.importorskip("torch")
    report = report_of(*CHAUDHARY, "--only", "steps", "--against", "torch")
    ours, eager, compiled = report["sections"]["steps"]
    assert ours["name"] == "minigan" and eager["name"].startswith("PyTorch, ch") and "compile" in compiled["name"]
    for theirs in (eager, compiled):
        assert theirs["ratio"]["median"] == pytest.approx(ours["ms"] / theirs["ms"])
    assert ours["images_per_second"] == pytest.approx(8000 / ours["ms"])
    assert 0 < ours["share_of_peak"] < 10 and 10 < ours["memory_mb"] < 2000 and 10 < eager["memory_mb"] < 2000


def test_every_kernel_against_torch():
    pytest.importorskip("torch")
    rows = report_of("--only", "kernels", *CHAUDHARY, "--against", "torch")["sections"]["kernels"]
    assert any(row["name"].startswith("C 16x28x14x14, 16x56x8x8, 4x4/2") for row in rows)
    for row in rows[:-1]:
        assert row["ms"] > 0 and row["calls"] >= 1
        assert ("gflops" in row) == (row["name"][:2] in ("C ", "T ", "G "))
    assert any("torch_ms" in row for row in rows)


def test_pytorchs_kernels_compute_what_ours_do():
    torch_peer = pytest.importorskip("minigan.torch_peer")
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
            tensors = torch_peer.as_tensors(call.arguments, channels_last)
            found = torch_peer.KERNELS[call.kernel](*tensors)()
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


def test_the_table_names_machine_and_threads():
    process = run_command("minigan.bench", *CHAUDHARY, "--only", "steps", "threads", "--threads", 1)
    assert process.returncode == 0 and "threads: 1" in process.stdout and "images/s" in process.stdout
    assert "speedup" in process.stdout


def test_batches_of_one_are_explained_not_timed(monkeypatch):
    monkeypatch.setattr(contests, "BATCH_SIZES", (1, 2))
    contest = contests.Contest(1, 2, against_torch=False)
    one, two = (measure() for measure in contests.measurements(contest, "batches", ["jeganathan2025"]))
    assert "needs 2 images" in one[0]["name"] and two[0]["ms"] > 0


@pytest.mark.parametrize("recipe", ["chaudhary2024", "jeganathan2025"])
def test_the_generator_alone(recipe):
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

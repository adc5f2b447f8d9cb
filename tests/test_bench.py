"""The benchmark command: its table and its JSON, with and without PyTorch beside it."""

import functools
import json
import time

import pytest
from conftest import assert_refused, run_command

from minigan import benchmark


def test_against_torch_the_ratio_is_that_of_the_rounds():
    pytest.importorskip("torch")
    process = run_command("minigan.bench", "--against", "torch", "--rounds", 1, "--json")
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout)
    ours, theirs = report["steps"]
    assert ours["name"] == "minigan" and theirs["name"].startswith("PyTorch")
    assert theirs["ratio"]["median"] == pytest.approx(ours["ms"] / theirs["ms"])
    assert ours["images_per_second"] == pytest.approx(4000 / ours["ms"])


def test_the_table_names_machine_and_threads():
    process = run_command("minigan.bench", "--rounds", 1, "--threads", 1)
    assert process.returncode == 0 and "threads: 1" in process.stdout and "images/s" in process.stdout


@pytest.mark.parametrize("recipe", ["chaudhary2024", "jeganathan2025"])
def test_the_generator_alone(recipe):
    pytest.importorskip("torch")
    command = ["--generator", "--recipe", recipe, "--batch-size", 8, "--against", "torch", "--rounds", 1]
    process = run_command("minigan.bench", *command)
    assert process.returncode == 0, process.stderr
    assert "the generator alone" in process.stdout and "of PyTorch" in process.stdout


def test_bad_arguments():
    assert_refused(run_command("minigan.bench", "--rounds", "0"), "--rounds")
    assert_refused(run_command("minigan.bench", "--recipe", "nonsense"), "nonsense")


def test_competitors_take_turns():
    calls = []

    def step(name):
        calls.append(name)
        time.sleep(0.1)

    steps = {name: functools.partial(step, name) for name in "ab"}
    timings = benchmark.take_turns(steps, rounds=2)
    turns = [name for name, before in zip(calls, [None, *calls]) if name != before]
    assert turns[-4:] == list("abab") and [len(t.rounds) for t in timings] == [2, 2]

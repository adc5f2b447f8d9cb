"""Every command that the README shows runs: shortened, on the small data set, in the README's order."""

import contextlib
import re
import shlex
from pathlib import Path

from conftest import run_command

from minigan import contests
from minigan.kernels.cuda import emulation

README = Path(__file__).parent.parent / "README.md"

SHORT = {
    "minigan.train": ["--batch-size", "8", "--quiet"],
    "minigan.sample": [],
    "minigan.evaluate": ["--count", "10"],
    "minigan.doctor": [],
    "minigan.export": ["--help"],  # test_export.py runs it as shown, and the examples after it
    "minigan.report": [],
    "minigan.train_judge": ["--help"],  # it and the next take minutes: their own tests run them on few images
    "minigan.reproduce": ["--help"],
    "minigan.ablate": ["--help"],
    "minigan.bench": ["--rounds", "1", "--batch-size", "4", "--only", "steps"],
}


def shown_commands():
    """The `python -m minigan...` commands in the README's code blocks, as (module, arguments)."""
    for block in re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.M | re.S):
        for line in block.splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                if "-m" in words and words[words.index("-m") + 1].startswith("minigan."):
                    at = words.index("-m") + 1
                    yield words[at], words[at + 1 :]


def test_every_command_in_the_readme_runs(tmp_path, small_dataset, monkeypatch):
    monkeypatch.setattr(contests.Contest._race, "__defaults__", (0.01,))  # seconds of a turn of the benchmark
    commands = list(shown_commands())
    assert {module for module, _ in commands} == set(SHORT)
    for number, (module, arguments) in enumerate(commands):
        short = list(SHORT[module])
        if module == "minigan.train":
            short += ["--dataset", str(small_dataset), "--steps", str(number + 2)]  # more each time: a resume goes on
        if module == "minigan.evaluate":
            short += ["--dataset", str(small_dataset)]
        if module == "minigan.bench" and "--against" in arguments:
            short += ["--help"]  # the comparison itself is test_bench's business
        on_gpu = "gpu" in arguments and "--help" not in short
        if on_gpu and module == "minigan.train":
            short += ["--batch-size", "2", "--steps", "2"]  # a step takes seconds there
        with emulation.active() if on_gpu else contextlib.nullcontext():
            process = run_command(module, *arguments, *short, cwd=tmp_path)
        assert process.returncode == 0, (module, arguments, process.stderr)


def test_the_python_examples_in_the_readme_run():
    examples = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.M | re.S)
    assert len(examples) > 1
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})


def test_the_two_commands_of_a_fresh_machine_are_there():
    text = README.read_text()
    assert "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/python -m minigan.train" in text
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest" in text

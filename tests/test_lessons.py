"""Every lesson runs, in its short form, and keeps to the form that all of them have."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "lessons"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The finished process of each lesson, and the folder of its figures; two run at a time."""
    folder = tmp_path_factory.mktemp("lessons")

    def run(lesson):
        return subprocess.run(
            [sys.executable, lesson, "--short"], cwd=folder, timeout=120, capture_output=True, text=True,
            env={**os.environ, **ONE_THREAD, "PYTHONWARNINGS": "error::RuntimeWarning"},
        )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(LESSONS, pool.map(run, LESSONS))), folder / "runs" / "lessons"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_draws(lesson, finished):
    processes, figures = finished
    process = processes[lesson]
    assert process.returncode == 0, process.stderr
    drawn = re.findall(r"^\[(.+\.png)\] (.+)$", process.stdout, re.M)
    assert drawn, "no figure"
    for path, alt in drawn:
        assert (figures / Path(path).name).stat().st_size > 2000
        assert len(alt.split()) >= 6, f"{alt!r} says too little to one who cannot see the figure"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_the_form_of_a_lesson(lesson):
    text, number = lesson.read_text(), int(lesson.name[:2])
    lines = text.splitlines()
    assert len(lines) <= 175 and max(map(len, lines)) <= 120
    prose = "\n".join(line.removeprefix("# ") for line in lines)
    assert lines[:2] == ["# %% [markdown]", lines[1]] and lines[1].startswith(f"# # {number}. ")
    for part in (
        "**Objective.**",
        "**You need**",
        "second",
        "**In the library:**",
        "**Follows:**",
        "## Three questions",
    ):
        assert part in prose, f"{part} is missing"
    assert re.search(r"\*\*Predict", prose) and re.search(r"^\s*assert ", text, re.M)
    for named in re.findall(r"`((?:minigan|kernels|lessons)/[\w/.]+\.(?:py|cu|cuh|h))`", prose):
        path = FOLDER.parent / named
        assert path.exists() or named == f"lessons/exercises/ex{lesson.stem}.py", f"there is no {named}"
    questions = re.split(r"^## Three questions", prose, flags=re.M)[1]
    assert re.findall(r"^(\d)\. ", questions, re.M) == ["1", "2", "3"]
    assert f"answers/{number:02}.md" in questions
    answers = (FOLDER / "answers" / f"{number:02}.md").read_text()
    assert re.findall(r"^(#+) .*?(\d+)", answers, re.M) == [("#", str(number)), ("##", "1"), ("##", "2"), ("##", "3")]
    assert (FOLDER / "instructor" / f"{number:02}.md").read_text().startswith(f"## {number}. ")


def test_the_index_says_the_times_that_lessons_say():
    index = (FOLDER / "index.md").read_text()
    for lesson in LESSONS:
        head = "\n".join(lesson.read_text().splitlines()[:14])
        time = re.search(r"\*(\d+ seconds)\b", head)[1]
        assert re.search(rf"\({lesson.stem}\):.*\*{time}\.\*$", index, re.M), f"{lesson.stem}: {time}"


def test_all_lessons_are_there():
    assert [int(lesson.name[:2]) for lesson in LESSONS] == list(range(1, 22))


def test_an_unknown_flag_is_one_line():
    process = subprocess.run([sys.executable, LESSONS[0], "--fast"], capture_output=True, text=True)
    assert process.returncode == 2 and process.stderr.count("\n") == 1 and "--short" in process.stderr

"""The grader of the exercises: what it accepts, refuses, reports, and survives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXERCISES = ROOT / "lessons" / "exercises"
COURSEWORK = Path(__file__).parent / "coursework"
sys.path[:0] = [str(EXERCISES), str(COURSEWORK)]

import grade_the_grader  # noqa: E402
from grading import imports, student  # noqa: E402
from grading.check import POINTS, Mistake, checks_of, exercises, may_import  # noqa: E402
from grading.compare import agree, gradient_agrees  # noqa: E402
from mutations import mutants  # noqa: E402

RIGHT = (COURSEWORK / "solutions" / "arrays" / "ex02_derivatives.py").read_text()


def grade(*options):
    """Runs the exercises' checks as a student or an instructor does."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", EXERCISES, "-p", "no:cacheprovider", *map(str, options)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """(folder, output, report) of a folder with answers of many kinds, graded once."""
    folder = tmp_path_factory.mktemp("answers")
    outside = folder.parent / "outside.txt"
    answers = {
        "ex02_derivatives": "from helper import count\n" + RIGHT.replace(" / len(y)", ""),
        "ex03_scalar_engine": "import torch\n",
        "ex04_tensors": (EXERCISES / "ex04_tensors.py").read_text(),
        "ex05_gradient_checking": "while True:\n    pass\n",
        "ex06_layers": f"open({str(Path.home() / 'minigan-was-here')!r}, 'w').write('x')\n",
        "ex07_convolution": "import os\n",
        "ex08_transposed_convolution": "def conv_transpose2d(:\n",
        "ex09_batch_normalisation": "from minigan import functions\n",
        "helper": "count = len\n",
    }
    for name, text in answers.items():
        (folder / f"{name}.py").write_text(text)
    report = folder.parent / "grade.json"
    wanted = " or ".join(f"ex{i:02}" for i in range(2, 11))
    process = grade("--student", folder, "-m", wanted, "--limit", "3", "--report", report)
    return folder, outside, process, json.loads(report.read_text())


def outputs(report, exercise):
    """What the report says of the checks of an exercise."""
    return [test["output"] for test in report["tests"] if exercise in test["tags"][0]]


def test_a_known_slip_is_named_and_costs_only_its_check(graded):
    _, _, process, report = graded
    mine = [test for test in report["tests"] if test["tags"][0] == "ex02_derivatives"]
    assert [test["status"] for test in mine] == ["passed", "passed", "passed", "failed"]
    assert "the mean over the images is missing" in mine[3]["output"]
    assert "analytic" in mine[3]["output"] and "numeric" in mine[3]["output"] and "index (" in mine[3]["output"]
    assert "It looks as if the mean over the images is missing" in process.stdout


def test_the_report_is_what_gradescope_reads(graded):
    _, _, _, report = graded
    assert report["score"] == sum(test["score"] for test in report["tests"]) == 6
    assert report["max_score"] == 9 * POINTS and isinstance(report["execution_time"], int)
    for test in report["tests"]:
        assert {"name", "number", "score", "max_score", "status", "output"} <= set(test)
        assert test["status"] in ("passed", "failed") and 0 <= test["score"] <= test["max_score"]


@pytest.mark.parametrize(
    ("exercise", "words"),
    [
        ("ex03", "uses torch: another framework"),
        ("ex04", "not written yet"),
        ("ex05", "importing it takes over 3 s"),
        ("ex06", "an exercise writes nothing there"),
        ("ex07", "uses os: not among what this exercise allows"),
        ("ex08", "is not Python: line 1"),
        ("ex09", "uses minigan.functions: minigan's own answer"),
        ("ex10", "not handed in"),
    ],
)
def test_each_kind_of_answer_is_told_what_is_wrong(graded, exercise, words):
    found = outputs(graded[3], exercise)
    assert found and all(words in text for text in found), found


def test_nothing_was_written_outside(graded):
    folder, *_ = graded
    assert not (Path.home() / "minigan-was-here").exists()
    assert {path.suffix for path in folder.iterdir()} == {".py"}  # no __pycache__ either


def test_seeds_change_the_inputs_and_the_same_seed_does_not():
    seen = []
    check = checks_of("ex02_derivatives")[2]
    spy = student.Answers(__file__="spy.py", logistic_loss=lambda w, x, y: seen.append(x) or 0.0)
    for seed in (0, 0, 1):
        with pytest.raises(Mistake):
            check.run(spy, "ex02_derivatives", seed)
    assert np.array_equal(seen[0], seen[1])
    assert seen[0].shape != seen[2].shape or not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("import minigan.conv", "minigan.conv"),
        ("from minigan import conv", "minigan.conv"),
        ("import minigan", "minigan"),
        ("def f():\n    from minigan.functions import batch_norm", "minigan.functions"),
        ("from torch.nn import functional", "torch"),
        ("import tensorflow as tf", "tensorflow"),
        ("import importlib", "importlib"),
        ("import sys\nsys.modules['minigan.conv']", "sys"),
        ("__import__('minigan')", "__import__"),
        ("exec('import minigan')", "exec"),
        ("import helper", "jax"),
        ("import grading.compare", "grading"),
        ("import numpy\nnumpy.sys.modules['minigan']", "sys"),
        ("import minigan.tensor\nminigan.conv.conv2d", "minigan"),
        ("from contextlib import sys", "sys"),
        ("from collections import _sys as s", "_sys"),
        ("import operator\noperator.attrgetter('__globals__')", "__globals__"),
        ("type(__spec__.loader)('a', 'b').load_module()", "__spec__|load_module"),
        ("import os", "os"),
    ],
)
def test_borrowed_answers_are_refused_by_name(tmp_path, text, named):
    (tmp_path / "helper.py").write_text("import jax\n")
    for shadow in ("minigan", "os", "torch", "grading"):  # hide nothing
        (tmp_path / f"{shadow}.py").write_text("")
    path = tmp_path / "ex02_derivatives.py"
    path.write_text(text)
    with pytest.raises(imports.ImportRefused, match=f"uses ({named})"):
        imports.scan(path, ())


def test_a_shadow_of_another_module_is_named(tmp_path):
    (tmp_path / "minigan.py").write_text("")
    path = tmp_path / "ex02_derivatives.py"
    path.write_text("import minigan\n")
    with pytest.raises(imports.ImportRefused, match="minigan.py has the name of another module: rename it"):
        imports.scan(path, ())


def test_a_mark_of_utf8_is_no_mistake(tmp_path):
    path = tmp_path / "ex02_derivatives.py"
    path.write_bytes(b"\xef\xbb\xbfimport numpy as np\n")
    imports.scan(path, ())


@pytest.mark.parametrize(
    "text", ["np.allclose = max", "np.linalg.norm = max", "setattr(np, 'mean', max)", "del np.mean"]
)
def test_a_changed_module_is_refused_by_name(tmp_path, text):
    path = tmp_path / "ex02_derivatives.py"
    path.write_text(f"import numpy as np\n{text}\n")
    with pytest.raises(imports.ImportRefused, match="changes numpy"):
        imports.scan(path, ())


def test_what_an_exercise_allows_can_be_imported(tmp_path):
    path = tmp_path / "ex19.py"
    path.write_text(
        "import math\nimport numpy as np\nfrom minigan.tensor import Tensor, grad\nimport helper\n"
        "class Network:\n    def __init__(self):\n        self.modules = {}\n"
    )
    (tmp_path / "helper.py").write_text("from collections import deque\n")
    imports.scan(path, ("minigan.tensor",))
    with pytest.raises(imports.ImportRefused):
        imports.scan(path, ())


def test_options_that_cannot_be_are_one_line(tmp_path):
    (tmp_path / "mine.py").write_text("precious")
    for options, words in (
        (("--student", tmp_path / "none"), "there is no such folder"),
        (("--report", tmp_path / "none" / "grade.json"), "there is no folder"),
        (("--report", tmp_path), "that is a folder"),
        (("--report", tmp_path / "mine.py"), "is no report"),
        (("--limit", "0"), "above 0"),
    ):
        process = grade(*options)
        assert process.returncode == 4 and words in process.stderr and "Traceback" not in process.stderr
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_agree_names_the_worst_index_and_the_likely_slip():
    with pytest.raises(Mistake, match=r"index \(1, 0\): yours is 5, it should be 3") as found:
        agree(np.array([[1, 2], [5, 4]]), [[1, 2], [3, 4]], "y", {"x": 1}, {"five was meant": lambda: [[1, 2], [5, 4]]})
    assert "It looks as if five was meant" in str(found.value) and "x = 1" in str(found.value)
    with pytest.raises(Mistake, match=r"shape \(2,\); it should have shape \(3,\)"):
        agree(np.zeros(2), np.zeros(3), "y")
    with pytest.raises(Mistake, match="is None"):
        agree(None, 1.0, "y")
    with pytest.raises(Mistake, match="should be"):
        agree(np.array([np.nan, 1.0]), [1.0, 1.0], "y")
    with pytest.raises(Mistake, match=r"analytic \(yours\) 2, numeric"):
        gradient_agrees(2.0, lambda x: 3 * float(x), 1.0, "dy")
    with pytest.raises(Mistake, match="is None"):
        gradient_agrees(None, lambda x: 3 * float(x), 1.0, "dy")


@pytest.mark.parametrize("exercise", exercises())
def test_an_exercise_is_complete(exercise):
    lesson = exercise[2:]
    assert (ROOT / "lessons" / f"{lesson}.py").is_file()
    assert sum(check.points for check in checks_of(exercise)) == POINTS
    assert all(check.function.__doc__ for check in checks_of(exercise))
    stub = (EXERCISES / f"{exercise}.py").read_text()
    assert "NotImplementedError" in stub and f"-m {exercise[:4]}" in stub
    assert (EXERCISES / "minigan_answers" / f"{exercise}.py").is_file()
    for style in grade_the_grader.STYLES:
        imports.scan(COURSEWORK / "solutions" / style / f"{exercise}.py", may_import(exercise))
    slips, noticed, missed = grade_the_grader.grade_slips(exercise)
    assert slips >= 4 and not missed
    if exercise != "ex18_cuda_kernel" or noticed:
        for style in grade_the_grader.STYLES:
            assert grade_the_grader.first_complaint(exercise, grade_the_grader.source_of(style, exercise), 0) is None


def test_there_is_an_exercise_for_each_lesson_from_the_second_on():
    assert [exercise[2:4] for exercise in exercises()] == [f"{number:02}" for number in range(2, 22)]


def test_mutations_change_one_thing_each():
    source = "def f(x, n=2):\n    y = x[1:] - x[:-1]\n    if n > 1:\n        return -y * n\n    return y\n"
    found = mutants(source)
    assert len({m.key for m in found}) == len(found) == len({m.source for m in found})
    keys = {m.key for m in found}
    for expected in (
        "f: x[1:] - x[:-1] -> x[1:] + x[:-1]", "f: n > 1 -> n >= 1", "f: 2 -> 3", "f: y = x[1:] - x[:-1] -> nothing", "f: -y -> y",
    ):  # fmt: skip
        assert expected in keys
    for mutant in found:
        compile(mutant.source, "mutant", "exec")


def test_mutants_of_a_right_answer_are_noticed():
    known = grade_the_grader.equivalents("ex02_derivatives")
    for mutant in mutants(RIGHT)[::3]:
        noticed = grade_the_grader.first_complaint("ex02_derivatives", mutant.source, 0) is not None
        assert noticed != (("arrays", mutant.key) in known), mutant.key

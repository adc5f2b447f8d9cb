"""`python -m pytest lessons/exercises --student my_folder -m ex07`: checks a student's answers.

Without --student the same checks run on minigan itself (`minigan_answers/`).
"""

import time
from pathlib import Path

import pytest
from grading import report
from grading.check import checks_of, exercises, short_name
from grading.worker import Outcome, Worker

HERE = Path(__file__).parent


def pytest_addoption(parser):
    group = parser.getgroup("exercises")
    group.addoption(
        "--student", metavar="DIR", help="the folder with the answers; without it, minigan's own are checked"
    )
    group.addoption("--report", metavar="FILE", help="write the grade there, in the format that Gradescope reads")
    group.addoption("--seed", type=int, default=0, metavar="N", help="of the checks' random inputs (default: 0)")
    group.addoption("--limit", type=float, default=30.0, metavar="SECONDS", help="of a check (default: 30)")


def pytest_configure(config):
    for exercise in exercises():
        config.addinivalue_line("markers", f"{short_name(exercise)}: the exercise {exercise}")
    folder, target = config.getoption("--student"), config.getoption("--report")
    if folder is not None and not Path(folder).is_dir():
        raise pytest.UsageError(
            f"--student {folder}: there is no such folder; make one and copy a stub of lessons/exercises there"
        )
    if target is not None and report.why_not(target):
        raise pytest.UsageError(f"--report {target}: {report.why_not(target)}")
    if not config.getoption("--limit") > 0:
        raise pytest.UsageError("--limit takes a number of seconds above 0")
    config.grade = Grade(folder, config.getoption("--seed"), config.getoption("--limit"))


class Grade:
    """The checks of one run, what became of each, and the processes they run in."""

    def __init__(self, folder, seed, limit):
        self.folder, self.seed, self.limit = folder and Path(folder).resolve(), seed, limit
        self.results, self.started, self.worker, self.exercise = [], time.monotonic(), None, None

    def run(self, exercise, number):
        """Runs the check of that number (from 1) of an exercise; returns its Outcome and writes it down."""
        check = checks_of(exercise)[number - 1]
        path = (self.folder or HERE / "minigan_answers") / f"{exercise}.py"
        if self.folder and not path.is_file():
            outcome = Outcome("missing", f"not handed in: there is no {path.name} in {self.folder.name}")
        else:
            outcome = self._worker(exercise, path).run(check.name)
        self.results.append((exercise, number, check, outcome))
        return outcome

    def _worker(self, exercise, path):
        if self.exercise != exercise:
            self.close()
            self.worker = Worker(exercise, path, self.seed, self.limit, trusted=self.folder is None)
            self.exercise = exercise
        return self.worker

    def close(self):
        """Ends the last process."""
        if self.worker is not None:
            self.worker.close()


@pytest.fixture
def grade(request):
    return request.config.grade


def pytest_sessionfinish(session):
    grade, target = session.config.grade, session.config.getoption("--report")
    grade.close()
    if target is not None and grade.results:
        report.write(target, grade.results, grade.seed, time.monotonic() - grade.started)


def pytest_terminal_summary(terminalreporter, config):
    results = config.grade.results
    if not results:
        return
    terminalreporter.section("points")
    for exercise in sorted({r[0] for r in results}):
        mine = [(check.points, outcome.kind) for name, _, check, outcome in results if name == exercise]
        got = sum(points for points, kind in mine if kind == "passed")
        note = "" if any(kind != "missing" for _, kind in mine) else "   not handed in"
        terminalreporter.write_line(f"{exercise:32} {got:3} of {sum(points for points, _ in mine):3}{note}")

"""Every check of every exercise, as one test each."""

import pytest
from grading.check import checks_of, exercises, short_name

CHECKS = [
    pytest.param(exercise, number, id=f"{exercise}-{check.name}", marks=getattr(pytest.mark, short_name(exercise)))
    for exercise in exercises()
    for number, check in enumerate(checks_of(exercise), 1)
]


@pytest.mark.parametrize(("exercise", "number"), CHECKS)
def test_exercise(exercise, number, grade):
    outcome = grade.run(exercise, number)
    if outcome.kind == "missing":
        pytest.skip(outcome.message)
    if outcome.kind != "passed":
        title = checks_of(exercise)[number - 1].title
        pytest.fail(f"{title}\n{outcome.message}", pytrace=False)

"""The grade as a file in the format that Gradescope's autograder reads (`results.json`; "Autograder Specifications")."""

import json
from pathlib import Path


def why_not(path):
    """Why no report can be written to `path`, in words, or None: nothing but an older report is overwritten."""
    path = Path(path)
    if not path.resolve().parent.is_dir():
        return "there is no folder to write it in"
    if path.is_dir():
        return "that is a folder; give a file's name, such as grade.json"
    if path.exists():
        try:
            if "tests" in json.loads(path.read_text()):
                return None
        except (ValueError, TypeError, OSError):
            pass
        return "that file is there already and is no report; give another name"
    return None


def write(path, results, seed, seconds):
    """Writes the report. results: [(exercise, number, Check, Outcome)], number counting the exercise's checks from 1."""
    tests = []
    for exercise, number, check, outcome in results:
        passed = outcome.kind == "passed"
        text = outcome.message + (f"\nprinted:\n{outcome.printed}" if outcome.printed else "")
        tests.append({
            "name": f"{exercise}: {check.title}",
            "number": f"{int(exercise[2:4])}.{number}",
            "score": check.points if passed else 0,
            "max_score": check.points,
            "status": "passed" if passed else "failed",
            "output": text.strip(),
            "tags": [exercise, outcome.kind],
        })  # fmt: skip
    score = sum(test["score"] for test in tests)
    whole = {
        "score": score,
        "max_score": sum(test["max_score"] for test in tests),
        "execution_time": round(seconds),
        "output": f"minigan exercises, seed {seed}",
        "tests": tests,
    }
    Path(path).write_text(json.dumps(whole, indent=2) + "\n")

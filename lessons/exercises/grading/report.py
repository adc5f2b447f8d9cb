"""The grade as a file in the format that Gradescope's autograder reads (`results.json`; "Autograder Specifications")."""

import json
from pathlib import Path


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

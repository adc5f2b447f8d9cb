"""python tests/coursework/grade_the_grader.py: does the grader notice mistakes, and only mistakes?

For every exercise: each mutation of three right solutions (mutations.py) and each hand-written slip (slips/) must fail,
and the solutions themselves must pass for every seed. Prints the figures; exit code 1 if they are not good enough.
"""

import argparse
import contextlib
import importlib
import io
import multiprocessing
import os
import signal
import sys
import types
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "lessons" / "exercises")]
STYLES = ("loops", "arrays", "other")
ENOUGH = 0.98  # of mutants and slips that must be noticed
LIMIT = 5.0  # seconds of an exercise's checks; a right answer takes a hundredth of it


def source_of(style, exercise):
    """The text of a solution."""
    return (HERE / "solutions" / style / f"{exercise}.py").read_text()


def first_complaint(exercise, source, seed):
    """What the first check that fails says of a program, or None where all pass."""
    from grading import student
    from grading.check import Mistake, checks_of

    def too_long(*_):
        raise TimeoutError("not done in time")

    module = types.ModuleType(exercise)
    module.__file__ = f"{exercise}.py"
    signal.signal(signal.SIGALRM, too_long)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            signal.setitimer(signal.ITIMER_REAL, LIMIT)
            try:
                exec(compile(source, f"{exercise}.py", "exec"), vars(module))
                answers = student.Answers(**vars(module))
                for check in checks_of(exercise):
                    check.run(answers, exercise, seed)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    except Mistake as mistake:
        return str(mistake)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    return None


def equivalents(exercise):
    """{(style, key): reason} of the mutants that do what the original does, from equivalent/."""
    path = HERE / "equivalent" / f"{exercise}.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    found = {}
    for line in lines:
        if line.strip() and not line.startswith("#"):
            style, key, reason = (part.strip() for part in line.split(" | "))
            found[style, key] = reason
    return found


def try_mutant(job):
    """Whether one mutant is noticed: (style, key, line, noticed)."""
    exercise, style, mutant = job
    return style, mutant.key, mutant.line, first_complaint(exercise, mutant.source, 0) is not None


def try_seed(job):
    """What goes wrong with a right solution under one seed."""
    exercise, style, seed = job
    complaint = first_complaint(exercise, source_of(style, exercise), seed)
    return None if complaint is None else f"{exercise}, {style}, seed {seed}: {complaint}"


def grade_mutants(pool, exercise, every):
    """(mutants, noticed, equivalent, survivors, stale entries of the list) of an exercise."""
    from mutations import mutants

    known = equivalents(exercise)
    jobs = [(exercise, style, m) for style in STYLES for m in mutants(source_of(style, exercise))]
    keys = {(style, m.key) for _, style, m in jobs}
    jobs = jobs[::every]
    results = pool.map(try_mutant, jobs, chunksize=8)
    survivors = [r for r in results if not r[3] and (r[0], r[1]) not in known]
    same = sum((style, key) in known for style, key, _, noticed in results if not noticed)
    stale = [k for k in known if k not in keys] + [
        (s, k) for s, k, _, noticed in results if noticed and (s, k) in known
    ]
    return len(results), sum(r[3] for r in results), same, survivors, stale


def grade_slips(exercise):
    """(slips, noticed, what was not) of an exercise. slips/NAME.py holds SLIPS: (name, style, old, new, words to be said)."""
    slips = importlib.import_module(f"slips.{exercise}").SLIPS
    missed = []
    for name, style, old, new, words in slips:
        source = source_of(style, exercise)
        if source.count(old) != 1:
            missed.append(f"{exercise}, {name}: {old!r} is in {style} {source.count(old)} times")
            continue
        complaint = first_complaint(exercise, source.replace(old, new), 0)
        if complaint is None:
            missed.append(f"{exercise}, {name}: not noticed")
        elif words not in complaint:
            missed.append(f"{exercise}, {name}: noticed, but {words!r} is not said: {complaint}")
    return len(slips), len(slips) - len(missed), missed


def main():
    """The command. Returns its exit code."""
    from grading.check import exercises
    from tqdm import tqdm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exercises", nargs="*", metavar="EXERCISE", help="ex07 ...; all, if none is named")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try each Nth mutant (default: each one)")
    parser.add_argument("--seeds", type=int, default=1000, metavar="N", help="of each solution (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="list the mutants that were not noticed")
    arguments = parser.parse_args()
    wanted = [e for e in exercises() if not arguments.exercises or e.split("_")[0] in arguments.exercises]
    totals, problems = [0] * 6, []
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    print(f"{'':32}  mutants  noticed  equivalent  missed   slips  noticed   seeds  refused")
    with multiprocessing.get_context("spawn").Pool() as pool:
        for exercise in tqdm(wanted, leave=False):
            count, noticed, same, survivors, stale = grade_mutants(pool, exercise, arguments.every)
            slips, slips_noticed, slips_missed = grade_slips(exercise)
            jobs = [(exercise, style, seed) for style in STYLES for seed in range(arguments.seeds)]
            wrong = [w for w in pool.map(try_seed, jobs, chunksize=16) if w]
            row = [count, noticed, len(survivors), slips, slips_noticed, len(wrong)]
            totals = [a + b for a, b in zip(totals, row)]
            tqdm.write(f"{exercise:32}  {count:7}  {noticed:7}  {same:10}  {len(survivors):6}  {slips:6}  {slips_noticed:7}  "
                       f"{len(jobs):6}  {len(wrong):7}")  # fmt: skip
            problems += (
                slips_missed
                + wrong[:3]
                + [f"{exercise}: listed as equivalent, but noticed or gone: {s} | {k}" for s, k in stale]
            )
            if arguments.verbose:
                problems += [
                    f"{exercise}, {style}, line {line}: not noticed: {key}" for style, key, line, _ in survivors
                ]
    print("\n".join(problems))
    count, noticed, missed, slips, slips_noticed, wrong = totals
    share, slip_share = noticed / max(1, noticed + missed), slips_noticed / max(1, slips)
    print(f"{noticed} of {noticed + missed} mutants noticed ({share:.1%}; {count - noticed - missed} more are equivalent), "
          f"{slips_noticed} of {slips} slips, {wrong} right answers refused")  # fmt: skip
    return 0 if min(share, slip_share) >= ENOUGH and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())

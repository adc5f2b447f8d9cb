"""Fuzzes the readers of files by coverage: mutants that reach new code are mutated further (atheris, on libFuzzer).

    pip install atheris && python tests/fuzz_guided.py --seconds 300

The promise is that of fuzz.py. Each run prints its executions and coverage; what breaks the promise ends it, with the
file in --found. The corpus grows in --corpus, and the next run begins with it.
"""

import argparse
import pickle
import random
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("minigan: error: this fuzzer needs atheris: pip install atheris")

with atheris.instrument_imports(
    include=["minigan.checkpoint", "minigan.data", "minigan.settings", "minigan.sampling", "minigan.training", "minigan.rows",
             "minigan.doctor", "minigan.nn", "minigan.optim", "minigan.evaluate", "minigan.judge", "pickletools", "gzip"],
    enable_loader_override=False,
):  # fmt: skip
    from hostile import attacks, checkpoints, idx_files, other_files
from hostile import promise
from hostile.byte_mutants import ANY_FILE
from hostile.promise import READ, REFUSED, Watch

MOST_BYTES = 1 << 18  # of an input
SECONDS, MEGABYTES = 30, 4096  # of one execution


def sealed(path, content):
    """A checkpoint with the checksum that belongs to it."""
    return checkpoints.TARGET.put(path, attacks.sealed(content))


# The first byte of an input chooses: (target, how the rest is put in its place).
_SEALED = checkpoints.TARGET._replace(name="sealed", put=sealed)
TARGETS = (
    _SEALED,
    _SEALED,
    checkpoints.TARGET,
    idx_files.TARGET,
    other_files.DOCTOR,
    other_files.IMAGES,
    other_files.JUDGE,
)


def main():
    """The command; ends in libFuzzer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path("runs/fuzz/corpus"))
    parser.add_argument("--found", type=Path, default=Path("runs/fuzz"))
    arguments = parser.parse_args()
    arguments.corpus.mkdir(parents=True, exist_ok=True)
    arguments.found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fuzz(arguments, Path(folder))


def fuzz(arguments, folder):
    """Prepares all targets, and hands over to libFuzzer."""
    watch, ready = Watch(), []
    for number, target in enumerate(TARGETS):
        (folder / str(number)).mkdir()
        path, seeds = target.prepare(folder / str(number))
        for _ in range(2):
            outcome, usual = watch.read(target, path)
        if outcome.kind != READ:
            raise SystemExit(f"no {target.name} can be read: {outcome}")
        ready.append((target, path, seeds, usual))
        if not target.name.startswith("idx"):
            for place, seed in enumerate(seeds):
                mark = bytes([place]) if target.put is other_files.put_text else b""
                (arguments.corpus / f"seed_{number}_{place}").write_bytes(bytes([number]) + mark + seed)
    for place, seed in enumerate(ready[0][2]):  # small ones, of which many can be read in a second
        state = pickle.loads(seed)
        few = {key: value for key, value in state.items() if not key.startswith(("gen", "disc", "opt", "average"))}
        (arguments.corpus / f"small_{place}").write_bytes(bytes([0]) + pickle.dumps(few, 4))
    for place, seed in enumerate(ready[3][2]):
        (arguments.corpus / f"seed_3_{place}").write_bytes(bytes([3, 2 * place]) + seed)
    for place, (_, content) in enumerate(attacks.corpus()):
        if len(content) < 4096:
            (arguments.corpus / f"attack_{place}").write_bytes(bytes([0]) + content)

    promise.MOST_SECONDS = SECONDS  # what is instrumented is slow

    def read(content):
        target, path, _, usual = ready[content[0] % len(ready)] if content else ready[0]
        content = content[1:] or b"\0"
        if target.put in (other_files.put_text, idx_files.put):
            content = bytes([content[0] % (3 if target.put is other_files.put_text else 4)]) + content[1:]
            for other in path.parent.iterdir():  # the file may have another name each time
                if other.is_file() and target.put is idx_files.put:
                    other.unlink()
            path.write_bytes(b"")
        outcome, _ = watch.read(target, target.put(path, content), usual)
        if outcome.kind not in (READ, REFUSED):
            raise AssertionError(f"{target.name}: {outcome}")

    def mutate(content, most, seed):
        """One in three is a mutant of a good file; the input itself is hostile, and only its bytes are touched."""
        rng = random.Random(seed)
        number = content[0] % len(ready) if content else 0
        target, _, seeds, _ = ready[number]
        way = rng.randrange(3)
        if way == 0:
            return (bytes([number]) + target.make(rng, seeds, 0)[2])[:most]
        if way == 1 and len(content) > 2:
            return (content[:1] + rng.choice(ANY_FILE)(rng, content[1:], range(min(400, len(content)))))[:most]
        return atheris.Mutate(content, most)

    atheris.Setup(
        [sys.argv[0], f"-max_total_time={arguments.seconds}", f"-seed={arguments.seed}", f"-max_len={MOST_BYTES}", f"-timeout={SECONDS}",
         f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={arguments.found}/", "-print_final_stats=1", "-len_control=0", str(arguments.corpus)],
        read, custom_mutator=mutate,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()

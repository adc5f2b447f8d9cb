"""Hostile and broken files: some mutants and the corpus (see fuzz.py for many), and readers that are weak on purpose, to
see the fuzzer catch them.
"""

import collections
import functools
import pickle

import fuzz
import numpy as np
import pytest
from hostile import attacks, canary, checkpoints, idx_files, other_files, weak, workers
from hostile.promise import READ, REFUSED
from hypothesis import given
from hypothesis import strategies as st

from minigan import checkpoint, gan, optim, recipes, rows, train
from minigan.doctor import PROBED
from minigan.errors import UserError
from minigan.tensor import Tensor

SEED = 1


def outcomes(target, count, tmp_path, **options):
    """{kind of outcome: number} of so many mutants; what is broken is shown."""
    found = collections.Counter()
    for result in workers.fuzz(target, range(count), SEED, tmp_path / "found", **options):
        found[result.outcome.kind] += 1
        if result.outcome.kind not in (READ, REFUSED):
            print(result)
    return found


@pytest.mark.parametrize(
    ("target", "count"),
    [(checkpoints.TARGET, 80), (idx_files.TARGET, 100), (other_files.IMAGES, 100)],
    ids=lambda value: getattr(value, "name", None),
)
def test_mutants_are_read_or_refused(target, count, tmp_path):
    found = outcomes(target, count, tmp_path)
    assert set(found) == {READ, REFUSED}, found


def test_a_mutant_is_a_function_of_its_number(tmp_path):
    (tmp_path / "a").mkdir()
    _, seeds = idx_files.prepare(tmp_path / "a")
    assert workers.mutant(idx_files.TARGET, seeds, 3, 7) == workers.mutant(idx_files.TARGET, seeds, 3, 7)
    assert workers.mutant(idx_files.TARGET, seeds, 3, 7) != workers.mutant(idx_files.TARGET, seeds, 4, 7)


def test_no_known_attack_is_read(tmp_path):
    path = tmp_path / "checkpoint.pkl"
    plain = set()
    for name, content in attacks.corpus():
        path.write_bytes(content)
        canary.songs.clear()
        try:
            state = checkpoint.load(path)
        except UserError as error:
            assert len(str(error)) < 1200 and str(error).isprintable(), name
        else:
            plain.add(name)
            with pytest.raises(UserError):  # values, but no run
                checkpoints.sample((path, state))
        assert not canary.songs, name
    assert plain == {"lists, 90,000 deep", "dicts, 60,000 deep", "150,000 dicts"}
    assert len(attacks.corpus()) > 500


def test_a_stranger_does_not_write_on_the_terminal():
    good = {"device": "cpu", "threads": 2, "precision": "tf32"}
    assert train._in_words(train._where(good)) == "cpu, 2 threads, tf32"
    deep = functools.reduce(lambda inside, _: [inside], range(100_000), [])
    for bad in (
        {"device": "\x1b[2J"},
        {"device": deep},
        {"threads": deep},
        {"threads": "2\n"},
        {"precision": ["float32"]},
        {"device": np.zeros(3)},
    ):
        assert train._in_words(train._where({**good, **bad})) == "another machine"
    for environment in ([], None, 5, {}, {"\n": 1}):
        assert train._in_words(train._where(environment)) == "another machine"


def test_a_stranger_names_no_state_on_the_terminal():
    optimizer = optim.Adam([Tensor(np.zeros(1), requires_grad=True)])
    state = {**optimizer.state_dict(), "state": {"\n0": {"\n": np.zeros(3)}}}
    with pytest.raises(ValueError, match=r"^'\\n' of parameter 0 is \(3,\), not \(1,\)$"):
        optimizer.load_state_dict(state)


def test_readers_that_are_weak_on_purpose_are_caught(tmp_path):
    found = {}
    for result in workers.fuzz(weak.TARGET, range(len(weak.READERS)), SEED, tmp_path, longest=2.0, quick=True):
        found[result.kind] = result.outcome.kind
    assert found == {reader.__name__: kind for reader, kind in weak.READERS.items()}
    assert len(list(tmp_path.iterdir())) == len(found)  # kept for a look


def test_the_command_says_what_was_broken(tmp_path, monkeypatch, capsys):
    broken = workers.Result(0, "length", True, workers.Outcome("KeyError", "x"))
    monkeypatch.setattr(fuzz.workers, "fuzz", lambda *_: [broken])
    assert fuzz.main(["--target", "doctor", "--mutants", "1", "--found", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "broken 1 times" in printed and "KeyError" in printed


def test_a_settings_file_of_brackets_alone_does_not_stop_the_doctor(tmp_path):
    path, _ = other_files.prepare_folder(tmp_path)
    (path.parent / "config.json").write_text("[" * 100_000)
    other_files.call_doctor(path)


@pytest.mark.parametrize("lost", rows.SIGNALS)
def test_lost_cells_are_said(lost, tmp_path):
    path, seeds = other_files.prepare_folder(tmp_path)
    lines = [line.split(",") for line in seeds[0].decode().splitlines()]
    column = lines[0].index(lost)
    for line in lines[1:]:
        line[column] = ""
        line[lines[0].index("diversity")] = line[lines[0].index("diversity")] and "0.001"  # a collapse, if it is read
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    if lost in PROBED and lost != "gradient_g":  # which tells a probe from other steps
        with pytest.raises(UserError, match=f"no {lost}"):
            other_files.call_doctor(path)
    else:
        other_files.call_doctor(path)


def test_a_long_cell_or_text_is_not_shown_as_a_whole(tmp_path):
    path, seeds = other_files.prepare_folder(tmp_path)
    path.write_bytes(seeds[0].replace(b"1.25", b"x" * 100_000, 1))
    with pytest.raises(UserError) as refused:
        other_files.call_doctor(path)
    assert len(str(refused.value)) < 1000
    path, seeds = other_files.prepare_images(tmp_path)
    header = "{'descr': '%sf4', 'fortran_order': False, 'shape': (1,), }" % ("f4," * 2000)
    path.write_bytes(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + bytes(8004))
    with pytest.raises(UserError) as refused:
        other_files.read_images(path)
    assert len(str(refused.value)) < 1000


def test_weights_of_any_size_are_drawn_without_a_word(recwarn):
    generator = recipes.jeganathan2025.generator()
    for name, array in generator.state_dict().items():
        array[...] = 0.5 if name.endswith("running_var") else 3e38 if array.dtype.kind == "f" else 1
    assert gan.generate(generator.eval(), np.ones((1, 100), np.float32)).shape == (1, 28, 28)
    assert not recwarn.list


# Hypothesis finds small files.

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text()
    | st.builds(bytes, st.binary()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 99), inner, max_size=4),
    max_leaves=20,
)
opcodes = st.sampled_from(
    [bytes([code]) for code in b"}](e.uasNKJM\x88\x89\x8a\x8cXCB\x94hj\x95GR\x93cbo\x81"]
) | st.binary(max_size=9)


@given(st.lists(opcodes, max_size=30), st.booleans())
def test_opcodes_in_any_order_are_plain_values_or_one_line(tmp_path_factory, parts, sealed):
    path = tmp_path_factory.getbasetemp() / "opcodes.pkl"
    content = b"\x80\x04" + b"".join(parts)
    path.write_bytes(attacks.sealed(content + attacks.ending()) if sealed else content)
    with pytest.raises(UserError) as refused:  # none of these is a whole checkpoint
        checkpoint.load(path)
    assert str(refused.value).isprintable()


@given(plain, st.booleans())
def test_any_plain_state_is_read_or_refused(tmp_path_factory, value, inside):
    path = tmp_path_factory.getbasetemp() / "plain.pkl"
    state = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION, "x": value}
    state = {**state, **(value if inside and isinstance(value, dict) else {}), "sha256": bytes(checkpoint.DIGEST_BYTES)}
    path.write_bytes(attacks.sealed(pickle.dumps(state, 4)))
    try:
        loaded = checkpoint.load(path)
    except UserError as error:
        assert str(error).isprintable()
        return
    with pytest.raises(UserError):
        checkpoints.sample((path, loaded))

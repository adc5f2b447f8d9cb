"""Checkpoints: what goes in comes out, and a file from a stranger runs no code and costs no memory."""

import builtins
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from minigan import checkpoint
from minigan.errors import UserError

STATE = {
    "step": 7,
    "seconds": 1.5,
    "name": "chaudhary2024",
    "nothing": None,
    "yes": True,
    "weights": {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(3)},
    "state": {0: {"step": 1}},
    "betas": [0.5, 0.999],
    "large": 2**63,
}


HEAD = {"format": checkpoint.FORMAT, "version": checkpoint.VERSION}


def sealed_pickle(state):
    """The bytes of a checkpoint of this state, which may be one that `save` would never write."""
    return checkpoint.sealed(pickle.dumps({**HEAD, **state, "sha256": bytes(32)}, 4))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "checkpoint.pkl"
    checkpoint.save(path, STATE)
    return path


def test_round_trip(saved):
    loaded = checkpoint.load(saved)
    weights = loaded.pop("weights")
    assert {k: v for k, v in STATE.items() if k != "weights"} == {k: loaded[k] for k in STATE if k != "weights"}
    for name, array in STATE["weights"].items():
        assert weights[name].dtype == array.dtype and weights[name].shape == array.shape
        np.testing.assert_array_equal(weights[name], array)


def test_a_checkpoint_is_an_ordinary_pickle_of_plain_containers(saved):
    plain = pickle.loads(saved.read_bytes())
    assert plain["weights"]["0.weight"]["shape"] == [2, 3]


def refused(path, content, *words):
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


class Attack:
    """Calls a function when unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "attack",
    [
        Attack(os.mkdir, "executed"),
        Attack(builtins.exec, "open('executed', 'w')"),
        Attack(builtins.eval, "1"),
        np.zeros(3),
    ],
)
def test_a_pickle_that_would_call_is_refused_unexecuted(tmp_path, monkeypatch, protocol, attack):
    monkeypatch.chdir(tmp_path)
    refused(tmp_path / "c.pkl", pickle.dumps({**HEAD, "x": attack}, protocol), "refused")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # GLOBAL, REDUCE
        b"(S'true'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pabc\n.",  # PERSID
        b"\x80\x04N\x81.",  # NEWOBJ
        b"\x80\x04Nb.",  # BUILD
        b"\x80\x05\x97.",  # NEXT_BUFFER
        b"\x80\x04}r\xff\xff\xff\x7f.",  # LONG_BINPUT with a huge memo index
        b"\x80\x04}p2147483647\n.",  # PUT, likewise
        b"\x80\x04\x8b\xff\xff\xff\x7f.",  # LONG4 of 2 GiB
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",  # BINBYTES8 of 1 TiB
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",  # FRAME of 1 TiB
        b"\x80\x04B" + struct.pack("<I", 1 << 31) + b".",  # BINBYTES of 2 GiB
        b"\x80\x04X" + struct.pack("<I", 1 << 31) + b".",  # BINUNICODE of 2 GiB
        b"\x80\x04h\x00.",  # BINGET of nothing
        b"\x80\x04j\xff\xff\xff\x7f.",  # LONG_BINGET of nothing
        b"\x80\x04.",
        b"\x80\x04Nt.",
        b"\x80\x04}}Ns.",  # a dict as a key
        b"\x80\x04N.N.",  # bytes after the end
        b"",
        b"hello",
    ],
)
def test_hostile_bytes_give_one_line_and_take_no_memory(tmp_path, content):
    tracemalloc.start()
    try:
        refused(tmp_path / "c.pkl", content)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_truncated_anywhere_is_refused(saved):
    content = saved.read_bytes()
    for end in range(len(content)):
        refused(saved, content[:end])


def test_every_flipped_bit_is_refused_or_read_as_plain_values(saved):
    content = saved.read_bytes()
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            saved.write_bytes(flipped)
            try:
                checkpoint.load(saved)
            except UserError as error:
                assert "\n" not in str(error)


def test_shapes_that_do_not_fit_their_bytes_are_refused(tmp_path):
    good = {"dtype": "float32", "shape": [2], "bytes": bytes(8)}
    for bad in ({"shape": [3]}, {"shape": [-2]}, {"shape": [2**62, 2**62]}, {"shape": [2.0]}, {"dtype": "object"},
                {"dtype": "float64"}, {"dtype": []}, {"bytes": "text"}, {"shape": [True, 2]}):  # fmt: skip
        refused(tmp_path / "c.pkl", sealed_pickle({"x": {**good, **bad}}), "does not fit its bytes")


def test_bytes_named_many_times_do_not_multiply_in_memory(tmp_path):
    content = bytes(1 << 16)
    arrays = [{"dtype": "uint8", "shape": [1 << 16], "bytes": content} for _ in range(5_000)]
    refused(tmp_path / "c.pkl", sealed_pickle({"x": arrays}), "larger than the file")


def test_a_device_or_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(UserError, match="not a file"):
            checkpoint.load(path)


def test_a_file_that_contains_itself_or_nests_without_end_is_refused(tmp_path):
    loop = []
    loop.append(loop)
    refused(tmp_path / "c.pkl", sealed_pickle({"x": loop}), "a part of itself twice")
    deep = b"\x80\x04" + b"]" * 50_000 + b"a" * 49_999 + b"."
    refused(tmp_path / "c.pkl", deep)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path):
    path = tmp_path / "c.pkl"
    checkpoint.save(path, STATE)
    content = path.read_bytes()
    start = content.index(STATE["weights"]["0.weight"].tobytes())
    for position in (start, start + 23, len(content) - 4, len(content) - 35):
        flipped = bytearray(content)
        flipped[position] ^= 1
        refused(path, flipped, "its checksum does not fit")
        if position < len(content) - 35:
            path.write_bytes(checkpoint.sealed(bytes(flipped)))
            checkpoint.load(path)


def test_a_checkpoint_from_before_there_were_checksums_is_read(tmp_path):
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"format": checkpoint.FORMAT, "version": 1, "step": 5}, 4))
    assert checkpoint.load(tmp_path / "c.pkl")["step"] == 5


def test_tuples_and_long_integers_which_no_checkpoint_has_are_refused(tmp_path):
    refused(tmp_path / "c.pkl", sealed_pickle({"x": (1, 2)}), "TUPLE2")
    refused(tmp_path / "c.pkl", sealed_pickle({"x": {2**80: 1}}), "an integer of 11 bytes")


def steps_kept(path):
    return [checkpoint.load(checkpoint.older(path, age))["step"] for age in (0, *checkpoint.kept(path))]


def test_the_last_ones_are_kept(tmp_path):
    path = tmp_path / "c.pkl"
    for step in range(6):
        checkpoint.save(path, {"step": step}, keep=3)
    assert steps_kept(path) == [5, 4, 3]
    checkpoint.save(path, {"step": 6}, keep=5)
    assert steps_kept(path) == [6, 5, 4, 3]
    checkpoint.save(path, {"step": 7}, keep=2)
    assert steps_kept(path) == [7, 6]
    checkpoint.save(path, {"step": 8})
    assert steps_kept(path) == [8] and len(list(tmp_path.iterdir())) == 1


def test_without_links_the_last_ones_are_kept_as_copies(tmp_path, monkeypatch):
    def fail(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    for step in range(4):
        checkpoint.save(tmp_path / "c.pkl", {"step": step}, keep=3)
    assert steps_kept(tmp_path / "c.pkl") == [3, 2, 1]


def test_the_newest_good_one_is_taken_and_takes_the_place_of_a_damaged_one(tmp_path, capsys):
    path = tmp_path / "c.pkl"
    for step in range(4):
        checkpoint.save(path, {"step": step}, keep=4)
    for damaged in (path, checkpoint.older(path, 1)):
        damaged.write_bytes(damaged.read_bytes()[:-1])
    state, found = checkpoint.load_newest(path)
    assert state["step"] == 1 and found == checkpoint.older(path, 2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "c.pkl is truncated" in said and str(found) in said
    checkpoint.replace_damaged(path, found)
    assert checkpoint.load(path)["step"] == 1 and (tmp_path / "c.damaged.pkl").exists()
    checkpoint.save(path, {"step": 2}, keep=4)
    assert checkpoint.load_newest(path)[0]["step"] == 2 and checkpoint.load(checkpoint.older(path, 1))["step"] == 1
    path.unlink()
    assert checkpoint.load_newest(path)[0]["step"] == 1


def test_a_checkpoint_of_a_newer_minigan_is_not_passed_over_for_an_older_one(tmp_path):
    path = tmp_path / "c.pkl"
    checkpoint.save(path, {"step": 1}, keep=2)
    checkpoint.save(path, {"step": 2}, keep=2)
    path.unlink()
    path.write_bytes(sealed_pickle({"version": checkpoint.VERSION + 1}))
    with pytest.raises(UserError, match="version"):
        checkpoint.load_newest(path)


def test_other_formats_and_versions_are_named(tmp_path):
    refused(tmp_path / "c.pkl", pickle.dumps({"format": "other"}, 4), "no checkpoint")
    refused(tmp_path / "c.pkl", pickle.dumps({"format": checkpoint.FORMAT, "version": 99}, 4), "99")
    with pytest.raises(UserError, match="cannot read"):
        checkpoint.load(tmp_path / "missing.pkl")


def test_a_save_that_fails_keeps_the_old_file_and_leaves_no_litter(saved, monkeypatch):
    before = saved.read_bytes()
    for function in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*_):
                raise OSError(28, "No space left on device")

            patch.setattr(os, function, fail)
            with pytest.raises(OSError):
                checkpoint.save(saved, {**STATE, "step": 8})
        assert saved.read_bytes() == before and list(saved.parent.iterdir()) == [saved]

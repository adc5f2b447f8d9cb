"""The judge: its shipped weights, what its reader refuses, what `embed` returns, and the command that trains it."""

import hashlib
import io
import struct
import zipfile

import numpy as np
import pytest
from conftest import assert_refused, run_command, write_idx

from minigan import cli, data, judge, random, train_judge
from minigan.errors import ShapeError, UserError
from minigan.tensor import Tensor, no_grad

TRAIN_JUDGE = "minigan.train_judge"


@pytest.fixture(scope="module")
def shipped():
    return judge.load()


@pytest.fixture(scope="module")
def test_images():
    return data.load_images("mnist", ("t10k",))


def test_the_shipped_judge_is_as_accurate_as_its_file_says(shipped, test_images):
    right = judge.accuracy(shipped, test_images, data.load_labels("mnist", ("t10k",)), quiet=True)
    assert right >= 0.994
    assert right == pytest.approx(shipped.test_accuracy, abs=1e-4)  # another processor may round one image over


def test_the_shipped_judge_was_trained_on_everything_with_the_commands_settings(shipped):
    assert shipped.settings["epochs"] == train_judge.EPOCHS and shipped.settings["seed"] == 0
    assert shipped.settings["batch_size"] == train_judge.BATCH_SIZE
    assert shipped.settings["learning_rate"] == train_judge.LEARNING_RATE
    assert shipped.version == judge.VERSION and shipped.sha256 == judge.SHA256
    assert judge.SHIPPED.stat().st_size < 1_000_000
    assert not shipped.training and not any(p.requires_grad for p in shipped.parameters())


def test_loading_leaves_the_default_generator_as_it_was(shipped):
    before = random.default_generator.draw
    judge.load()
    assert random.default_generator.draw == before


def test_embed_returns_features_and_probabilities(shipped, test_images):
    features, probabilities = judge.embed(shipped, test_images[:300], quiet=True)
    assert features.shape == (300, judge.FEATURES) and features.dtype == np.float32
    assert probabilities.shape == (300, 10) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert len(judge.embed(shipped, test_images[:0], quiet=True)[0]) == 0


def test_the_features_are_what_the_last_layer_sees(shipped, test_images):
    features, probabilities = judge.embed(shipped, test_images[:20], quiet=True)
    logits = features @ shipped.head.weight.data.T + shipped.head.bias.data
    shares = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(shares / shares.sum(1, keepdims=True), probabilities, rtol=1e-4, atol=1e-7)
    with no_grad():
        direct = shipped(Tensor(data.to_signed(test_images[:20])[:, None]))
    np.testing.assert_allclose(logits, direct.numpy(), rtol=1e-3, atol=1e-4)


def test_an_images_numbers_do_not_depend_on_those_around_it(shipped, test_images):
    count = judge.BATCH + 7  # of two batches
    together = judge.embed(shipped, test_images[:count], quiet=True)
    for chosen in (slice(0, 3), slice(judge.BATCH - 1, judge.BATCH + 2), slice(count - 1, count)):
        alone = judge.embed(shipped, test_images[chosen], quiet=True)
        for part, whole in zip(alone, together):
            np.testing.assert_array_equal(part, whole[chosen])


@pytest.mark.parametrize(
    "images", [np.zeros((2, 28, 28), np.float32), np.zeros((2, 1, 28, 28), np.uint8), np.zeros((28, 28), np.uint8)]
)
def test_embed_refuses_other_arrays(shipped, images):
    with pytest.raises(ShapeError, match="uint8"):
        judge.embed(shipped, images, quiet=True)


def test_a_changed_shipped_file_is_refused(tmp_path, monkeypatch):
    content = bytearray(judge.SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / "judge.npz"
    changed.write_bytes(content)
    monkeypatch.setattr(judge, "SHIPPED", changed)
    with pytest.raises(UserError, match="damaged.*install minigan again"):
        judge.load()


@pytest.fixture
def arrays():
    """The arrays of the shipped file, to be spoilt."""
    with np.load(judge.SHIPPED, allow_pickle=False) as file:
        return dict(file)


def _write(path, arrays, **settings):
    np.savez(path, **arrays, **settings)
    return path


def test_a_file_of_ones_own_is_read(tmp_path, arrays, shipped):
    arrays["settings/seed"][...] = 2**64 - 1
    arrays["weights/head.bias"] += 1
    other = judge.load(_write(tmp_path / "own.npz", arrays))
    assert other.settings["seed"] == 2**64 - 1 and other.sha256 != shipped.sha256
    np.testing.assert_array_equal(other.head.bias.data, shipped.head.bias.data + 1)


def test_a_judge_comes_back_from_its_file_as_it_was_rounded(tmp_path):
    trained = train_judge.initial(0)
    exact = trained.body[0].weight.data.copy()
    judge.rounded(trained)
    np.testing.assert_allclose(trained.body[0].weight.data, exact, rtol=2**-10)
    (tmp_path / "judge.npz").write_bytes(judge.file_content(trained, {}, 0.5))
    again = judge.file_content(trained, {}, 0.5)
    assert hashlib.sha256(again).digest() == hashlib.sha256((tmp_path / "judge.npz").read_bytes()).digest()
    loaded = judge.load(tmp_path / "judge.npz").state_dict()
    for name, array in trained.state_dict().items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


SPOILT = {
    "another version": (lambda a: a.update(version=np.array("2")), "version '2'"),
    "another name": (lambda a: a.update(name=np.array("minigan digit fudge")), "name 'minigan digit fudge'"),
    "other classes": (lambda a: a.update(classes=a["classes"][::-1]), "classes"),
    "a missing array": (lambda a: a.pop("weights/head.bias"), "other arrays"),
    "one array more": (lambda a: a.update(more=np.zeros(1)), "other arrays"),
    "another shape": (lambda a: a.update({"weights/head.bias": np.zeros(11, np.float32)}), "not float32 (10,)"),
    "another dtype": (lambda a: a.update({"weights/head.bias": np.zeros(10, np.int32)}), "not float32 (10,)"),
    "no numbers": (lambda a: a["weights/head.bias"].fill(np.nan), "no numbers"),
    "negative variances": (lambda a: a["weights/body.1.running_var"].fill(-1), "negative"),
    "an accuracy above 1": (lambda a: a.update(test_accuracy=np.array(2.0)), "accuracy"),
    "an object": (lambda a: a.update(version=np.array({}, object)), "version"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_file_is_refused_with_one_line(tmp_path, arrays, name):
    spoil, words = SPOILT[name]
    spoil(arrays)
    _assert_no_judge(_write(tmp_path / "spoilt.npz", arrays), words)


def _assert_no_judge(path, *words):
    with pytest.raises(UserError) as refused:
        judge.load(path)
    message = str(refused.value)
    assert "\n" not in message and str(path) in message and len(message) < 400
    for word in words:
        assert word in message


def _with_member(arrays, name, content):
    """The bytes of a judge's file in which one array is these bytes."""
    file = io.BytesIO()
    np.savez(file, **{other: array for other, array in arrays.items() if other != name})
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _npy(shape, dtype="<f4", body=b""):
    header = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


HOSTILE = {
    "nothing": lambda a: b"",
    "text": lambda a: b"hello\n" * 100,
    "the first half": lambda a: judge.SHIPPED.read_bytes()[:300_000],
    "a flipped bit": lambda a: _flipped(judge.SHIPPED.read_bytes(), 300_000),
    "an array alone": lambda a: _npy((10,), body=bytes(40)),
    "a shape of terabytes": lambda a: _with_member(a, "weights/head.bias", _npy((1 << 42,))),
    "a negative shape": lambda a: _with_member(a, "weights/head.bias", _npy((-1,))),
    "a header that nests": lambda a: _with_member(a, "version", _npy("(" * 3000)),
    "a header of another kind": lambda a: _with_member(a, "version", _npy("__import__('os')")),
    "a bomb": lambda a: _with_member(a, "weights/head.bias", _npy((10,), body=bytes(1 << 26))),
    "bytes missing": lambda a: _with_member(a, "weights/head.bias", _npy((10,), body=bytes(39))),
    "a pickle": lambda a: _with_member(a, "version", b"cos\nsystem\n(S'true'\ntR."),
}


def _flipped(content, position):
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_one_line(tmp_path, arrays, name):
    path = tmp_path / "hostile.npz"
    path.write_bytes(HOSTILE[name](arrays))
    _assert_no_judge(path)


def test_what_cannot_be_a_judges_file_is_refused_unread(tmp_path):
    large = tmp_path / "large.npz"
    large.write_bytes(bytes(judge.LARGEST_FILE + 1))
    for path, words in ((tmp_path, "not a file"), (tmp_path / "none", "No such file"), (large, "larger than any")):
        with pytest.raises(UserError, match=words):
            judge.load(path)


def test_distortion_moves_images_within_its_bounds_and_leaves_them_alone_at_zero(monkeypatch):
    images = data.load_images()[:50]
    for name in ("ROTATION", "STRETCH", "SHEAR", "SHIFT"):
        monkeypatch.setattr(train_judge, name, 0.0)
    generator = random.Generator(0, random.NOISE)
    np.testing.assert_array_equal(train_judge.distort(images, generator)[:, 0], data.to_signed(images))
    monkeypatch.setattr(train_judge, "SHIFT", 2.0)
    moved = train_judge.distort(images, generator)
    assert moved.dtype == np.float32 and moved.min() >= -1 and moved.max() <= 1

    def centre(pictures):
        weights = pictures + 1
        return (np.indices((28, 28)) * weights[:, None]).sum((2, 3)) / weights.sum((1, 2))[:, None]

    by = np.abs(centre(moved[:, 0].astype(float)) - centre(data.to_signed(images).astype(float)))
    assert (
        by.max() < 2.05
        and by.max() > 1.5
        and np.allclose(moved.mean((1, 2, 3)), images.mean((1, 2)) / 127.5 - 1, atol=0.02)
    )


def test_a_turn_is_a_turn(monkeypatch):
    for name, value in dict(ROTATION=90.0, STRETCH=0.0, SHEAR=0.0, SHIFT=0.0).items():
        monkeypatch.setattr(train_judge, name, value)
    images = data.load_images()[:3]

    class Ones:
        def uniform(self, shape):
            return np.ones(shape, np.float32)

    turned = data.to_pixels(train_judge.distort(images, Ones())[:, 0])
    assert np.abs(turned.astype(int) - np.rot90(images, 1, (1, 2))).max() <= 1


def test_training_learns_and_repeats_itself(monkeypatch):
    monkeypatch.setattr(train_judge, "BATCH_SIZE", 32)
    images, labels = data.load_images()[:160], data.load_labels()[:160]
    first, second = (train_judge.train(images, labels, seed=0, epochs=6) for _ in range(2))
    assert not first.training
    assert judge.accuracy(first, images, labels, quiet=True) > 0.4
    states = [m.state_dict() for m in (first, second)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
    kept = states[0]["body.0.weight"]
    np.testing.assert_array_equal(kept, kept.astype(np.float16))  # as its file will have it
    assert not np.array_equal(train_judge.initial(0).head.weight.data, train_judge.initial(1).head.weight.data)


def test_the_command_trains_and_writes_a_judge(small_dataset, tmp_path):
    out = tmp_path / "mine.npz"
    arguments = ("--dataset", small_dataset, "--epochs", 2, "--seed", 3, "--threads", 1, "--device", "cpu")
    process = run_command(TRAIN_JUDGE, *arguments, "--out", out)
    assert process.returncode == 0, process.stderr
    assert "training the judge" in process.stderr and "loss" in process.stderr
    trained = judge.load(out)
    assert f"{trained.test_accuracy:.2%} of 16 test images" in process.stdout and trained.sha256 in process.stdout
    settings = dict(seed=3, epochs=2, batch_size=128, learning_rate=train_judge.LEARNING_RATE, threads=1)
    assert trained.settings == settings
    content = out.read_bytes()
    assert_refused(run_command(TRAIN_JUDGE, *arguments, "--out", out), "there already")
    assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(content).digest()


def test_a_trial_reports_the_images_held_out_and_nothing_else(small_dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _main("--dataset", small_dataset, "--epochs", 1, "--hold-out", 16, "--quiet")
    assert capsys.readouterr().out.endswith("of 16 training images held out\n")
    assert not list(tmp_path.iterdir())


def _main(*arguments):
    return train_judge.main([*map(str, arguments), "--device", "cpu"])


def test_nothing_is_lost_when_the_file_appears_meanwhile(small_dataset, tmp_path, monkeypatch):
    out = tmp_path / "mine.npz"
    monkeypatch.setattr(train_judge, "train", lambda *a: (out.write_text("precious"), judge.load())[1])
    with pytest.raises(UserError, match="File exists.*what was trained is"):
        _main("--dataset", small_dataset, "--out", out, "--quiet")
    assert out.read_text() == "precious" and judge.load(f"{out}.tmp").settings["seed"] == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--epochs", 0), "at least 1"),
        (("--seed", -1), "2**64"),
        (("--device", "abacus"), "abacus"),
        (("--out", ""), "empty"),
        (("--hold-out", "some"), "some"),
        (("--epoch", 3), "unrecognized"),
    ],
)
def test_wrong_arguments_end_with_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        train_judge.main([*map(str, arguments)])
    message = capsys.readouterr().err
    assert ended.value.code == cli.EXIT_BAD_INPUT and message.count("\n") == 1 and words in message


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--out", "judge.txt"), ".npz"),
        (("--out", "no/folder/judge.npz"), "no folder"),
        (("--hold-out", 63), "leaves nothing"),
        (("--hold-out", 10, "--out", "judge.npz"), "leave out --out"),
        (("--dataset", "no/folder"), "no such folder"),
        (("--threads", 4096), "4096"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_training(arguments, words, small_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train_judge, "train", None)
    with pytest.raises(UserError, match=words):
        _main("--dataset", small_dataset, *arguments)


def test_data_that_do_not_fit_are_refused(small_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    for file in small_dataset.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for labels, words in ((np.full(64, 10, np.uint8), "class 10"), (np.zeros(63, np.uint8), "63 labels")):
        write_idx(folder / "train-labels-idx1-ubyte", labels)
        with pytest.raises(UserError, match=words):
            _main("--dataset", folder)


def test_the_interrupted_write_leaves_no_file(small_dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(train_judge, "train", lambda *a: judge.load())
    monkeypatch.setattr(train_judge.files, "write_atomically", full)
    with pytest.raises(UserError, match="No space left"):
        _main("--dataset", small_dataset, "--out", tmp_path / "mine.npz", "--quiet")
    assert not list(tmp_path.iterdir())

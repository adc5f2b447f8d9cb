"""The embedded MNIST, the IDX reader, and the batches of an epoch."""

import gzip
import tracemalloc

import numpy as np
import pytest
from conftest import write_idx

from minigan import data
from minigan.errors import UserError


def test_embedded_mnist_is_whole():
    assert data.load_images("mnist", ("train", "t10k")).shape == (70_000, 28, 28)
    assert np.bincount(data.load_labels("mnist", ("train",))).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949
    ]  # fmt: skip


def test_a_damaged_embedded_file_is_noticed(monkeypatch, tmp_path):
    content = bytearray(gzip.decompress((data.MNIST_FOLDER / "t10k-labels-idx1-ubyte.gz").read_bytes()))
    content[100] ^= 1
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(content)
    monkeypatch.setattr(data, "MNIST_FOLDER", tmp_path)
    with pytest.raises(UserError, match="SHA-256"):
        data.load_labels("mnist", ("t10k",))


@pytest.mark.parametrize("compress", [False, True])
def test_a_folder_of_idx_files_is_read(tmp_path, compress):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    path = tmp_path / "train-images-idx3-ubyte"
    write_idx(path, images)
    if compress:
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    np.testing.assert_array_equal(data.load_images(tmp_path), images)


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    with pytest.raises(UserError, match="no such folder"):
        data.load_images(tmp_path / "nowhere")
    with pytest.raises(UserError, match="has no train-images-idx3-ubyte"):
        data.load_images(tmp_path)
    write_idx(path, np.zeros((5, 28, 28), np.uint8))
    whole = path.read_bytes()
    for damage, words in (
        (whole[:-1], "truncated"),
        (whole[:6], "truncated"),
        (whole + b"x", "longer than the 3936 bytes"),
        (b"hello" + whole, "not an IDX file"),
        (b"", "not an IDX file"),
        (whole[:4] + b"\xff" * 12, "truncated"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"x", "not an IDX file"),
        (b"\0\0\x08\3" + b"\xff" * 8 + bytes(4), "empty"),
    ):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=words):
            data.load_images(tmp_path)
    write_idx(path, np.zeros((5, 20, 28), np.uint8))
    with pytest.raises(UserError, match="28"):
        data.load_images(tmp_path)
    path.unlink()
    (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(UserError, match="cannot be read"):
        data.load_images(tmp_path)


def test_a_compressed_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    header = b"\0\0\x08\3" + np.array((20_000, 28, 28), ">u4").tobytes()
    for bomb in (header + bytes(20_000 * 784), header[:4] + b"\xff" * 12 + bytes(20_000 * 784)):
        path.write_bytes(gzip.compress(bomb))
        with pytest.raises(UserError, match="may unpack to") as refused:
            data.load_images(tmp_path)
        assert len(str(refused.value).splitlines()) == 1
    with pytest.raises(UserError, match="longer than"):  # more than the header says
        path.write_bytes(gzip.compress(header[:4] + np.array((1, 28, 28), ">u4").tobytes() + bytes(20_000 * 784)))
        tracemalloc.start()
        try:
            data.load_images(tmp_path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 1 << 20
    path.write_bytes(gzip.compress(header[:4] + np.array((5000, 28, 28), ">u4").tobytes() + bytes(5000 * 784)))
    assert not data.load_images(tmp_path).any()  # blank images, but few


def test_emnist_drops_in_and_stands_upright(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
    write_idx(tmp_path / "emnist-digits-train-images-idx3-ubyte", images)
    write_idx(tmp_path / "emnist-digits-test-images-idx3-ubyte", images[:2])
    np.testing.assert_array_equal(data.load_images(tmp_path), images.transpose(0, 2, 1))
    assert len(data.load_images(tmp_path, ("train", "t10k"))) == 7
    write_idx(tmp_path / "emnist-letters-train-images-idx3-ubyte", images)
    with pytest.raises(UserError, match="several sets"):
        data.load_images(tmp_path)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    images = np.arange(10, dtype=np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    batches = data.Batches(images, 4, seed=3)
    assert batches.per_epoch == 3
    epochs = []
    for epoch in range(2):
        shown = [batches.batch(epoch * 3 + i) for i in range(3)]
        assert [len(b) for b in shown] == [4, 4, 2]
        epochs.append(np.concatenate([np.rint(b[:, 0, 0, 0] * 127.5 + 127.5) for b in shown]))
        assert sorted(epochs[-1]) == list(range(10))
    assert epochs[0].tolist() != epochs[1].tolist()
    np.testing.assert_array_equal(batches.batch(1), data.Batches(images, 4, seed=3).batch(1))


def test_a_last_batch_of_one_image_is_left_out():
    assert data.Batches(np.zeros((9, 28, 28), np.uint8), 4, 0).per_epoch == 2


def test_pixels_survive_the_way_to_signed_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    signed = data.to_signed(pixels)
    assert signed.dtype == np.float32 and signed.min() == -1 and signed.max() == 1
    np.testing.assert_array_equal(data.to_pixels(signed), pixels)
    assert data.to_pixels(np.array([np.nan, np.inf, -np.inf], np.float32)).tolist() == [0, 255, 0]

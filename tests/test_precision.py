"""Precisions on the CPU: factors are rounded to the bit as PyTorch rounds, products are a GPU's, and a run trains in them."""

import numpy as np
import pytest
from conftest import assert_refused, run_command
from gpus import emulated
from test_cuda_convolutions import TENSOR_CORES
from test_gpu_training import assert_same_bits, make_run, rows_of
from triples import convolution_of, operands, triple

from minigan import backend, checkpoint, judge, kernels
from minigan.errors import UserError
from minigan.kernels import cpu
from minigan.kernels.cpu import precision
from minigan.kernels.cuda import convolution

LOWER = [name for name in backend.PRECISIONS if name != "float32"]
EDGES = {
    "one channel": convolution_of((3, 1, 9, 9), (5, 1, 4, 4), (3, 5, 4, 4), 2, (1, 1, 0, 0)),
    "a matrix product": convolution_of((9, 40, 1, 1), (12, 40, 1, 1), (9, 12, 1, 1), 1, (0,) * 4),
    "minimal filtering": convolution_of((40, 32, 7, 7), (64, 32, 5, 5), (40, 64, 7, 7), 1, (2,) * 4),
    **TENSOR_CORES,
}
FEW = "chaudhary2024 g.6", "many filters"


def bits_and_edges():
    """Floats of all sizes, most of them by random bits: subnormal, infinite and no numbers, and ties."""
    random = np.random.default_rng(0)
    exponents = np.arange(256, dtype=np.uint32).repeat(32) << 23  # each, with ties and their neighbours
    ties = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001, 0x18000, 0x7FFFFF], np.uint32)
    some = exponents | random.choice(ties, len(exponents)) | random.integers(0, 2, len(exponents), np.uint32) << 31
    return np.concatenate([random.integers(0, 2**32, 40000, np.uint32), some]).view(np.float32)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
@pytest.mark.parametrize("count", [48192, 1000])  # for two threads, for one
def test_numbers_are_rounded_as_pytorch_rounds_to_the_bit(name, count):
    torch = pytest.importorskip("torch")
    given = np.random.default_rng(1).permutation(bits_and_edges())[:count]
    half = torch.from_numpy(given).to({"bf16": torch.bfloat16, "fp16": torch.float16}[name])
    precision.set_precision(name)
    np.testing.assert_array_equal(precision.in_precision(given), half.float().numpy())  # NaN equals NaN here


def test_tf32_keeps_ten_bits_of_the_mantissa():
    given = bits_and_edges()
    given = given[np.isfinite(given)]
    precision.set_precision("tf32")
    found = precision.in_precision(given)
    mantissa, _ = np.frexp(found.astype(np.float64))
    np.testing.assert_array_equal(mantissa * 2**11 % 1, 0)
    assert (abs(found) <= abs(given)).all() and (np.sign(found) == np.sign(given))[abs(given) > 1e-30].all()
    normal = abs(given) > 2.0**-126
    assert (abs(found - given)[normal] < 2.0**-10 * abs(given)[normal]).all()


@pytest.mark.parametrize("name, case", [
    *(("tf32", case) for case in EDGES), *((name, case) for name in ("bf16", "fp16") for case in FEW),
])  # fmt: skip
def test_the_cpu_multiplies_what_a_gpu_multiplies(name, case):
    operands_ = operands(EDGES[case], np.float32)
    in_float32 = triple(cpu, *operands_)
    precision.set_precision(name)
    found = triple(cpu, *operands_)
    with emulated() as xp:
        convolution.set_precision(name)
        x, w, y, *geometry = operands_
        there = kernels.for_device("gpu")
        expected = (
            there.conv2d(xp.asarray(x), xp.asarray(w), *geometry, xp.empty(y.shape, np.float32)).get(),
            there.conv_transpose2d(xp.asarray(y), xp.asarray(w), *geometry, xp.empty(x.shape, np.float32)).get(),
            there.conv2d_weight(xp.asarray(x), xp.asarray(y), *geometry, xp.empty(w.shape, np.float32)).get(),
        )
    for ours, theirs, unrounded in zip(found, expected, in_float32):
        error, rounding = (np.linalg.norm(ours - other) / np.linalg.norm(ours) for other in (theirs, unrounded))
        assert error < 2e-5 and rounding > 1e-4, (error, rounding)


@pytest.mark.parametrize("name", LOWER)
def test_float64_and_arrays_in_another_order(name):
    precision.set_precision(name)
    exact = np.random.default_rng(0).standard_normal((4, 5))
    assert precision.in_precision(exact) is exact
    turned = exact.astype(np.float32).T
    np.testing.assert_array_equal(
        precision.in_precision(turned), precision.in_precision(np.ascontiguousarray(turned.T)).T
    )
    precision.set_precision("float32")
    assert precision.in_precision(turned) is turned


def test_a_training_on_the_cpu_begins_as_on_a_gpu(few_images, small_recipes):
    first, name = {}, "bf16"
    for device, how in (("cpu", "float32"), ("cpu", name), ("gpu", name)):
        with emulated():
            backend.set_precision(how, device)
            first[device, how] = np.array(rows_of(make_run("jeganathan2025", few_images, device), 1)[0][2:])
    ours, gpus, plain = first["cpu", name], first["gpu", name], first["cpu", "float32"]
    assert abs(ours - gpus).max() < abs(ours - plain).max() / 10


@pytest.mark.parametrize("name", LOWER)
def test_captured_steps_on_the_cpu_equal_eager_ones_and_a_resumed_run_equals_a_whole_one(
    tmp_path, name, few_images, small_recipes
):
    backend.set_precision(name, "cpu")
    captured, eager, resumed = (make_run("chaudhary2024", few_images, "cpu", graph) for graph in (True, False, True))
    resumed.restore(captured.state(), tmp_path)
    assert captured.environment()["precision"] == name and bool(captured.players.scale_g) == (name == "fp16")
    assert rows_of(captured, 3) == rows_of(eager, 3) == rows_of(resumed, 3)
    resumed = make_run("chaudhary2024", few_images, "cpu")
    resumed.restore(captured.state(), tmp_path)
    assert rows_of(captured, 2) == rows_of(resumed, 2)
    assert_same_bits(captured, resumed)


def test_the_judge_looks_in_float32_whatever_is_trained_in():
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    expected = judge.embed(judge.load(), images)
    backend.set_precision("bf16", "cpu")
    for a, b in zip(judge.embed(judge.load(), images), expected):
        np.testing.assert_array_equal(a, b)
    assert backend.precision("cpu") == "bf16"


def test_a_precision_without_a_gpu_is_for_those_who_ask_for_the_cpu(tmp_path, few_images, monkeypatch):
    monkeypatch.setattr(backend, "why_no_gpu", lambda: "there is none")
    assert backend.select_device("cpu", "tf32") == "cpu" == backend.select_device("auto")
    with pytest.raises(UserError, match="--precision tf32: there is none; --device cpu"):
        backend.select_device("auto", "tf32")
    with pytest.raises(ValueError, match="int8"):
        backend.set_precision("int8", "cpu")


def test_the_command_trains_on_the_cpu_in_a_precision_and_says_so(tmp_path, small_dataset):
    common = "--dataset", small_dataset, "--out", tmp_path / "run", "--batch-size", 4, "--device", "cpu"
    first = run_command("minigan.train", *common, "--steps", 1, "--precision", "bf16")
    assert first.returncode == 0 and "products in bf16" in first.stdout, first.stderr
    again = run_command(
        "minigan.train", *common, "--steps", 2, "--resume"
    )  # in the same precision, without being asked
    assert again.returncode == 0 and "products in bf16" in again.stdout and "may differ" not in again.stderr
    other = run_command("minigan.train", *common, "--steps", 3, "--resume", "--precision", "fp16")
    assert other.returncode == 0 and "bf16 and goes on with" in other.stderr
    assert_refused(run_command("minigan.bench", "--precision", "bf16"), "--device gpu")
    state = checkpoint.load(tmp_path / "run" / "checkpoint.pkl")
    del state["environment"]
    checkpoint.save(tmp_path / "run" / "checkpoint.pkl", state)
    assert_refused(run_command("minigan.train", *common, "--steps", 4, "--resume"), "damaged")


def test_a_checkpoint_has_one_score_whatever_was_trained_in_before(tmp_path, small_dataset):
    common = "--dataset", small_dataset, "--out", tmp_path / "run", "--batch-size", 4, "--device", "cpu"
    assert run_command("minigan.train", *common, "--steps", 2, "--precision", "bf16").returncode == 0
    scores = []
    for name in ("bf16", "float32"):
        backend.set_precision(name, "cpu")
        done = run_command("minigan.evaluate", tmp_path / "run", "--dataset", small_dataset, "--count", 10, "--json")
        assert done.returncode == 0, done.stderr
        scores.append(done.stdout)
    assert scores[0] == scores[1]

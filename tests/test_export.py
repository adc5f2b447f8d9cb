"""Weights that leave and enter: PyTorch, NumPy and ONNX Runtime agree with us, and hostile files are refused.

What is compared has been trained for some steps, so that the running statistics matter.
"""

import io
import json
import re
import shlex
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused, run_command
from PIL import Image
from test_training import make_run

from minigan import checkpoint, exchange, export, files, nn, onnx_graph, recipes
from minigan.errors import ShapeError, UserError
from minigan.tensor import Tensor, no_grad

NAMES = sorted(recipes.RECIPES)
TOLERANCE = 1e-5  # of the largest value: all compute in float32, and sum in other orders


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_dataset):
    """{recipe: a folder with the checkpoint of a run of 5 steps, with a moving average}."""
    folders = {name: tmp_path_factory.mktemp(name) for name in NAMES}
    for name, folder in folders.items():
        run = make_run(name, small_dataset, batch_size=4, ema=0.9, probe_every=0)
        for _ in range(5):
            run.advance()
        checkpoint.save(folder / "checkpoint.pkl", run.state())
    return folders


@pytest.fixture(scope="module")
def loaded(runs):
    """{(recipe, "generator" or "discriminator"): what `export.load_network` returns}."""
    return {
        (name, which): export.load_network(runs[name] / "checkpoint.pkl", which)
        for name in NAMES for which in export.NETWORKS
    }  # fmt: skip


def exported(run, out, *options):
    """The file `out`, with a network of the run in it."""
    assert export.main([str(run), "--out", str(out), *options]) == 0
    return out


def output(network, x):
    with no_grad():
        return network(Tensor(x)).numpy()


def inputs(recipe, which, count=5):
    shape = recipe.latent_shape if which == "generator" else (1, 28, 28)
    return np.random.default_rng(0).standard_normal((count, *shape)).astype(np.float32)


def assert_close(found, expected):
    found = np.asarray(found)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * abs(expected).max())


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def refusal(path, content):
    """The one line that says why the file cannot be read."""
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        exchange.read_weights(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


# --- the command


@pytest.mark.parametrize("form", ["npz", "safetensors"])
@pytest.mark.parametrize("which", export.NETWORKS)
def test_weights_come_back_to_the_bit(runs, tmp_path, which, form):
    if form == "safetensors":
        pytest.importorskip("safetensors")
    weights = exchange.read_weights(exported(runs["chaudhary2024"], tmp_path / f"x.{form}", "--network", which))
    state = checkpoint.load(runs["chaudhary2024"] / "checkpoint.pkl")
    assert_same(weights, state["average" if which == "generator" else which])
    network = getattr(recipes.chaudhary2024, which)()
    network.load_state_dict(weights)
    assert_same(network.state_dict(), weights)


def test_the_average_is_written_where_there_is_one_and_the_trained_weights_on_request(runs, tmp_path, capsys):
    state, out = checkpoint.load(runs["chaudhary2024"] / "checkpoint.pkl"), tmp_path / "g.npz"
    for option, key, words in ((["--ema"], "average", "decay 0.9"), (["--no-ema"], "generator", "as trained")):
        assert_same(exchange.read_weights(exported(runs["chaudhary2024"], out, *option)), state[key])
        assert words in capsys.readouterr().out
        assert words in json.loads(zipfile.ZipFile(out).comment)["weights"]
    with pytest.raises(UserError, match="no moving average of the discriminator"):
        export.main([str(runs["chaudhary2024"]), "--out", str(out), "--network", "discriminator", "--ema"])


def test_the_file_says_what_it_holds(loaded, tmp_path):
    network, recipe, generator = loaded["jeganathan2025", "generator"]
    assert (generator["recipe"], generator["network"], generator["step"]) == ("jeganathan2025", "generator", "5")
    assert "(N, 100)" in generator["latents"] and "eval" in generator["mode"] and "minigan" in generator
    assert "logit" in loaded["jeganathan2025", "discriminator"][2]["output"]
    (tmp_path / "g.npz").write_bytes(export.file_content("npz", network, recipe, generator))
    assert json.loads(zipfile.ZipFile(tmp_path / "g.npz").comment) == generator
    safetensors = pytest.importorskip("safetensors")
    (tmp_path / "g.safetensors").write_bytes(export.file_content("safetensors", network, recipe, generator))
    with safetensors.safe_open(tmp_path / "g.safetensors", "np") as file:
        assert file.metadata() == generator


def test_a_discriminator_of_pixels_from_0_to_1_says_so(tmp_path, small_dataset):
    run, path = make_run("chaudhary2024", small_dataset, normalise=False), tmp_path / "checkpoint.pkl"
    checkpoint.save(path, run.state())
    assert "pixel / 255" in export.load_network(path, "discriminator")[2]["images"]


@pytest.mark.parametrize("options, words", [
    (["--out", "x.pt"], [".safetensors, .npz or .onnx"]),
    (["--out", "x.npz", "--format", "onnx"], ["x.npz", ".onnx"]),
    (["--out", "x.npz", "--format", "keras"], ["--format", "keras"]),
    (["--out", ""], ["--out", "empty"]),
    (["--out", "no/x.npz"], ["no/x.npz", "no folder"]),
    (["--out", "x.npz", "--network", "critic"], ["--network", "critic"]),
    ([], ["--out"]),
])  # fmt: skip
def test_bad_arguments_are_refused_in_one_line(runs, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, SystemExit)) as caught:
        export.main([str(runs["chaudhary2024"]), *options])
    line = str(caught.value) if isinstance(caught.value, UserError) else capsys.readouterr().err.strip()
    assert "\n" not in line and all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_is_one_line_and_exit_code_2(runs, tmp_path):
    path = tmp_path / "checkpoint.pkl"
    path.write_bytes((runs["chaudhary2024"] / "checkpoint.pkl").read_bytes()[:-100])
    assert_refused(run_command("minigan.export", tmp_path, "--out", tmp_path / "g.npz"), "truncated")
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pkl"]


def test_checkpoints_with_an_impossible_step_or_other_weights_are_refused(runs, tmp_path):
    state, path = checkpoint.load(runs["chaudhary2024"] / "checkpoint.pkl"), tmp_path / "c.pkl"
    for change, word in (({"step": "x" * 1000}, "step"), ({"discriminator": state["generator"]}, "discriminator")):
        checkpoint.save(path, {**state, **change})
        with pytest.raises(UserError, match=f"damaged: its {word}"):
            export.load_network(path, "discriminator")


def test_a_file_that_cannot_be_written_leaves_what_was_there(runs, tmp_path, monkeypatch):
    out = exported(runs["chaudhary2024"], tmp_path / "g.npz")
    before = out.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UserError, match="cannot be written: No space left"):
        exported(runs["chaudhary2024"], out, "--no-ema")
    assert out.read_bytes() == before and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("form, missing", [("safetensors", "safetensors.numpy"), ("onnx", "onnx")])
def test_a_missing_library_is_named_with_the_command_that_installs_it(runs, tmp_path, monkeypatch, form, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=rf"{form} is not installed: pip install -e '\.\[export\]'"):
        exported(runs["chaudhary2024"], tmp_path / f"g.{form}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", export.FORMATS)
def test_the_same_weights_give_the_same_file(loaded, form):
    pytest.importorskip({"npz": "numpy"}.get(form, form))
    contents = {export.file_content(form, *loaded["chaudhary2024", "generator"]) for _ in range(3)}
    assert len(contents) == 1


# --- PyTorch


@pytest.mark.parametrize("which", export.NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_pytorch_computes_the_same_from_an_exported_file(loaded, tmp_path, name, which):
    torch, twins = pytest.importorskip("torch"), pytest.importorskip("torch_twins")
    load_file = pytest.importorskip("safetensors.torch").load_file
    network, recipe, metadata = loaded[name, which]
    for form in ("npz", "safetensors"):
        (tmp_path / f"x.{form}").write_bytes(export.file_content(form, network, recipe, metadata))
    arrays = np.load(tmp_path / "x.npz")
    x = inputs(recipe, which)
    expected = output(network, x)
    for state in ({key: torch.from_numpy(arrays[key]) for key in arrays}, load_file(tmp_path / "x.safetensors")):
        twin = dict(zip(export.NETWORKS, twins.TWINS[name]()))[which]
        twin.load_state_dict(state)
        with torch.no_grad():
            assert_close(twin.eval()(torch.tensor(x)), expected)


@pytest.mark.parametrize("which", export.NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_weights_of_pytorch_compute_the_same_here(tmp_path, name, which):
    torch, twins = pytest.importorskip("torch"), pytest.importorskip("torch_twins")
    save_file = pytest.importorskip("safetensors.torch").save_file
    twin, recipe = dict(zip(export.NETWORKS, twins.TWINS[name]()))[which], recipes.RECIPES[name]
    x = torch.tensor(inputs(recipe, which))
    with torch.no_grad():
        twin(x + 1)  # moves the running statistics
        expected = twin.eval()(x).numpy()
    save = {"generator": np.savez, "discriminator": np.savez_compressed}[which]
    save(tmp_path / "x.npz", **{key: value.numpy() for key, value in twin.state_dict().items()})
    save_file(twin.state_dict(), tmp_path / "x.safetensors")
    for form in ("npz", "safetensors"):
        network = getattr(recipe, which)()
        network.load_state_dict(exchange.read_weights(tmp_path / f"x.{form}"))
        assert_close(output(network.eval(), x.numpy()), expected)


def test_pytorchs_half_precisions_and_counts_are_read_without_loss(tmp_path):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))
    for convert, dtype in (("bfloat16", "float32"), ("half", "float16"), ("double", "float64")):
        state = getattr(module, convert)().state_dict()
        safetensors.save_file(state, path)
        found = exchange.read_weights(path)
        assert found["0.weight"].dtype == dtype and found["1.num_batches_tracked"].dtype == np.int64
        for name, value in state.items():
            np.testing.assert_array_equal(found[name], value.double().numpy(), err_msg=name)
        network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
        network.load_state_dict(found)
        assert network[0].weight.dtype == np.float32
    safetensors.save_file({"x": torch.zeros(3, dtype=torch.float8_e5m2)}, path)
    with pytest.raises(UserError, match="'x' as F8_E5M2: store it as float32"):
        exchange.read_weights(path)


# --- ONNX


def run_onnx(content, x):
    """(the output of ONNX Runtime for the input x, the session)."""
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0], session


@pytest.mark.parametrize("which", export.NETWORKS)
@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_computes_the_same(loaded, name, which):
    onnx = pytest.importorskip("onnx")
    network, recipe, metadata = loaded[name, which]
    content = export.file_content("onnx", network, recipe, metadata)
    for count in (1, 5):
        x = inputs(recipe, which, count)
        found, session = run_onnx(content, x)
        assert_close(found, output(network, x))
    score = {"chaudhary2024": "probability", "jeganathan2025": "logit"}[name]
    names = {"generator": ("latents", "images"), "discriminator": ("images", score)}[which]
    assert (session.get_inputs()[0].name, session.get_outputs()[0].name) == names
    assert session.get_modelmeta().custom_metadata_map == metadata
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    weights = {tensor.name for tensor in model.graph.initializer}
    assert weights >= {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}


LAYERS = {
    "linear": ((7,), [nn.Linear(7, 4), nn.LeakyReLU(0.1)]),
    "conv": ((2, 9, 8), [nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2)), nn.ReLU()]),
    "conv padded by 4": ((2, 9, 8), [nn.Conv2d(2, 3, 3, padding=(0, 1, 2, 3))]),
    "transposed": ((2, 4, 5), [nn.ConvTranspose2d(2, 3, (3, 4), (2, 3), (1, 0), (1, 2), dilation=(2, 1))]),
    "transposed, cut by 4": ((2, 4, 5), [nn.ConvTranspose2d(2, 3, 5, 2, (1, 2, 0, 3), 1)]),
    "batch norm": ((3, 5), [nn.BatchNorm1d(3, eps=0.1)]),
    "shapes": ((2, 6, 4), [nn.Flatten(2), nn.Unflatten(2, (-1, 3)), nn.Flatten(1, 2), nn.Sigmoid()]),
    "nested": ((3,), [nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Tanh())), nn.Dropout(0.5)]),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_that_can_be_exported_computes_the_same(kind):
    pytest.importorskip("onnx")
    shape, layers = LAYERS[kind]
    network = nn.Sequential(*layers)
    rng = np.random.default_rng(1)
    for array in network.state_dict().values():
        array[...] = rng.uniform(0.5, 2, array.shape)
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    content = onnx_graph.model_content(network, kind, "x", shape, "y", {})
    assert_close(run_onnx(content, x)[0], output(network, x))
    if len(layers) == 1:  # a layer by itself
        assert_close(run_onnx(onnx_graph.model_content(layers[0], kind, "x", shape, "y", {}), x)[0], output(network, x))


def test_a_layer_that_onnx_does_not_know_is_named():
    pytest.importorskip("onnx")

    class Mine(nn.Tanh):
        def forward(self, x):
            return x * 2

    for layer, word in ((Mine(), "Mine()"), (nn.Flatten(0), "Flatten()")):
        with pytest.raises(UserError, match="no operator for") as caught:
            onnx_graph.model_content(nn.Sequential(layer), "x", "x", (3,), "y", {})
        assert word in str(caught.value) and "\n" not in str(caught.value)


# --- load_state_dict


def network():
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def test_all_that_does_not_fit_is_named_in_one_line_and_nothing_changed():
    ours, state = network(), network().state_dict()
    before = {name: array.copy() for name, array in ours.state_dict().items()}
    state["extra\n"] = state.pop("0.bias")
    state["0.weight"] = np.ones((2, 4))
    with pytest.raises(KeyError) as caught:
        ours.load_state_dict(state)
    assert caught.value.args == (
        "the state does not fit: missing 0.bias; unknown 'extra\\n'; of another shape 0.weight (2, 4), here (2, 3)",
    )
    state["1.weight"] = np.ones((2, 1))
    with pytest.raises(ShapeError, match=r"^the state does not fit: .*0.weight \(2, 4\), .*1.weight \(2, 1\)"):
        ours.load_state_dict(state, strict=False)
    for change in ({"1.num_batches_tracked": np.array(1.5)}, {"0.bias": np.array(["a", "b"])}, {"0.bias": [1j, 0]}):
        with pytest.raises(TypeError, match=f"does not fit: {next(iter(change))} is "):
            ours.load_state_dict({**network().state_dict(), **change})
    many = {f"{i}": np.zeros(1) for i in range(1000)}
    with pytest.raises(KeyError, match="'19' and 980 more") as caught:
        ours.load_state_dict({**network().state_dict(), **many})
    assert len(str(caught.value)) < 300
    assert_same(ours.state_dict(), before)


def test_a_path_is_refused_with_the_call_that_reads_it():
    with pytest.raises(TypeError, match=r"not str: minigan.exchange.read_weights\(path\)"):
        network().load_state_dict("g.safetensors")


# --- files from strangers

DEFLATED = zipfile.ZIP_DEFLATED
ARRAYS = {
    "0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "0.half": np.ones(5, np.float16),
    "1.num_batches_tracked": np.array(7),
    "big-endian": np.arange(3, dtype=">f8"),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read_in_this_machines_byte_order(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    found = exchange.read_weights(tmp_path / "x.npz")
    assert_same(found, {name: array.astype(array.dtype.newbyteorder("=")) for name, array in ARRAYS.items()})
    assert all(array.dtype.isnative and array.flags.writeable for array in found.values())


def npy(shape="(2,)", descr="'<f4'", data=bytes(8), version=b"\1\0", more=""):
    """The bytes of an .npy file with this header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + data


def npz(members, method=zipfile.ZIP_STORED):
    """The bytes of a zip file of [(name, content)]."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def safetensors_file(header, data=b"", length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def bomb(size):
    """A zip file of one array of zeros, much smaller than they are."""
    return npz([("x.npy", npy(f"({size},)", "'|u1'", bytes(size)))], DEFLATED)


def lying(content, size):
    """The zip file with another uncompressed length in its directory."""
    at = content.index(b"PK\1\2") + 24
    return content[:at] + size.to_bytes(4, "little") + content[at + 4 :]


ONE = npz([("x.npy", npy())])
HOSTILE_NPZ = {
    "empty": b"",
    "no zip file": b"hello" * 30,
    "truncated": ONE[:-30],
    "pickled": npz([("x.npy", npy(descr="'|O'", data=b"cos\ngetcwd\n(tR."))]),
    "structure with objects": npz([("x.npy", npy(descr="[('a', '|O'), ('b', '<f4')]", data=bytes(24)))]),
    "text": npz([("x.npy", npy(descr="'<U1'"))]),
    "complex": npz([("x.npy", npy("(1,)", "'<c8'"))]),
    "arrays in an array": npz([("x.npy", npy("(1,)", "('<f4', (2,))"))]),
    "void of 2 GiB": npz([("x.npy", npy(descr="'|V2147483647'"))]),
    "more elements": npz([("x.npy", npy("(3,)"))]),
    "fewer elements": npz([("x.npy", npy("(1,)"))]),
    "absurd shape": npz([("x.npy", npy("(2147483647, 2147483647, 2147483647)"))]),
    "shape that overflows to fit": npz([("x.npy", npy("(4611686018427387904, 4, 2)"))]),
    "negative": npz([("x.npy", npy("(-1, -2)"))]),
    "many dimensions": npz([("x.npy", npy(f"({'1, ' * 100}2)"))]),
    "shape of an expression": npz([("x.npy", npy("(__import__('os').getpid(),)"))]),
    "deep header": npz([("x.npy", npy("(" * 3000))]),
    "long header": npz([("x.npy", npy(more=" " * 60_000))]),
    "other version": npz([("x.npy", npy(version=b"\3\0"))]),
    "no array": npz([("x.npy", b"hello")]),
    "nothing": npz([("x.npy", b"")]),
    "the same name twice": npz([("x.npy", npy()), ("y.npy", npy())]).replace(b"y.npy", b"x.npy"),
    "stray file": npz([("x.npy", npy()), ("readme.txt", b"hello")]),
    "bomb": bomb(20 << 20),
    "many small bombs": npz([(f"{i}.npy", npy("(2000000,)", "'|u1'", bytes(2_000_000))) for i in range(10)], DEFLATED),
    "LZMA": npz([("x.npy", npy())], zipfile.ZIP_LZMA),
    "BZIP2": npz([("x.npy", npy())], zipfile.ZIP_BZIP2),
    "longer than it says": lying(bomb(1 << 20), 100),
    "shorter than it says": lying(npz([("x.npy", npy("(4000000,)", "'|u1'", b"abc"))]), 4_000_064),
    "claims 4 GiB": lying(ONE, 2**32 - 2),
    "encrypted": ONE.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
    "too many": b"PK\1\2" * 20_000 + ONE,
}  # fmt: skip

HOSTILE_SAFETENSORS = {
    "empty": b"",
    "no header": b"hello",
    "header longer than the file": safetensors_file({}, length=1000),
    "absurd length": safetensors_file({}, length=2**64 - 1),
    "long header": safetensors_file(b"{}" + b" " * (1 << 21)),
    "no JSON": safetensors_file(b"{{{{"),
    "list": safetensors_file([]),
    "deep": safetensors_file(b'{"a":' + b"[" * 100_000),
    "overlapping": safetensors_file({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "the same bytes twice": safetensors_file({"a": entry(), "b": entry()}, bytes(8)),
    "beyond the end": safetensors_file({"a": entry(offsets=(0, 8))}, bytes(4)),
    "backwards": safetensors_file({"a": entry(offsets=(8, 0))}, bytes(8)),
    "a hole": safetensors_file({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "bytes after the end": safetensors_file({"a": entry()}, bytes(9)),
    "other size": safetensors_file({"a": entry(shape=(3,))}, bytes(8)),
    "absurd shape": safetensors_file({"a": entry(shape=(2**62, 2**62))}, bytes(8)),
    "shape that overflows to fit": safetensors_file({"a": entry(shape=(2**62, 4, 2))}, bytes(8)),
    "negative": safetensors_file({"a": entry(shape=(-2,))}, bytes(8)),
    "many dimensions": safetensors_file({"a": entry(shape=(1,) * 100 + (2,))}, bytes(8)),
    "unknown dtype": safetensors_file({"a": entry("F33")}, bytes(8)),
    "complex": safetensors_file({"a": entry("C64", (1,))}, bytes(8)),
    "no offsets": safetensors_file({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "metadata of numbers": safetensors_file({"__metadata__": {"a": 1}}),
    "lines and colours": safetensors_file({"a\n\x1b[31m": entry(shape=(3,))}, bytes(8)),
}  # fmt: skip


@pytest.mark.parametrize("form, kind", [
    *(("npz", kind) for kind in HOSTILE_NPZ), *(("safetensors", kind) for kind in HOSTILE_SAFETENSORS)
])  # fmt: skip
def test_hostile_files_give_one_line_and_take_little_memory(tmp_path, form, kind):
    if form == "safetensors":
        pytest.importorskip("safetensors")
    content = {"npz": HOSTILE_NPZ, "safetensors": HOSTILE_SAFETENSORS}[form][kind]
    path = tmp_path / f"x.{form}"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        line = refusal(path, content)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(content) + (1 << 20)
    finally:
        tracemalloc.stop()
    assert len(line) < 700 and line.isprintable()


def test_names_and_places_that_cannot_be_read(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"")
    (tmp_path / "folder.npz").mkdir()
    for path, words in (
        (tmp_path / "x.pt", r"\.safetensors or \.npz.*save_file"), (tmp_path / "no.npz", "No such file"),
        (tmp_path / "folder.npz", "not a file"), ("a\0.npz", "null"), (tmp_path / ("n" * 300 + ".npz"), "too long"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            exchange.read_weights(path)


def flipped(rng, content):
    """The bytes with some bits flipped, cut, repeated, or overwritten by a number that matters."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(content)))
        kind = rng.integers(5)
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            size = int(rng.choice([1, 2, 4, 8]))
            content[at : at + size] = int(rng.choice([0, 1, 2**7, 2**8 - 1, 2**31])).to_bytes(8, "little")[:size]
        elif kind == 2:
            del content[at : at + int(rng.integers(1, 40))]
        elif kind == 3:
            content[at:at] = content[max(0, at - 30) : at]
        else:
            digits = [i for i, c in enumerate(content) if c in b"0123456789"]
            content[int(rng.choice(digits or [at]))] = int(rng.choice([*b"0123456789,-OVUL"]))
        if not content:
            content = bytearray(1)
    return bytes(content)


def mutants(form, count, seed):
    """Mutated files; of zip files every other one is damaged behind its checksums, which are right."""
    rng = np.random.default_rng(seed)
    if form == "safetensors":
        whole = exchange.safetensors_content(
            {n: a.astype(a.dtype.newbyteorder("=")) for n, a in ARRAYS.items()}, {"a": "b"}
        )
        header = 8 + int.from_bytes(whole[:8], "little")
        for number in range(count):
            changed = flipped(rng, whole[8:header])
            right = len(changed).to_bytes(8, "little") + changed + whole[header:]
            yield right if number % 2 else flipped(rng, whole)
        return
    whole = exchange.npz_content(ARRAYS, {"a": "b"})
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    for number in range(count):
        at = int(rng.integers(len(members)))
        changed = [(n, flipped(rng, c[:80]) + c[80:] if i == at else c) for i, (n, c) in enumerate(members)]
        method = DEFLATED if number % 4 == 1 else zipfile.ZIP_STORED
        yield npz(changed, method) if number % 2 else flipped(rng, whole)


@pytest.mark.parametrize("form", ["npz", "safetensors"])
def test_mutated_files_are_read_as_numbers_or_refused_in_one_line(tmp_path, form):
    if form == "safetensors":
        pytest.importorskip("safetensors")
    path, refused = tmp_path / f"x.{form}", 0
    tracemalloc.start()
    try:
        for content in mutants(form, 300, seed=0):
            tracemalloc.reset_peak()
            path.write_bytes(content)
            try:
                arrays = exchange.read_weights(path)
                assert all(type(name) is str and array.dtype.kind in "fiub" for name, array in arrays.items())
                assert sum(array.nbytes for array in arrays.values()) <= 2 * len(content)  # bfloat16 doubles
            except UserError as error:
                refused += 1
                assert str(error).isprintable()
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert 200 < refused < 300, refused


def test_damage_to_an_npz_files_numbers_is_noticed(tmp_path):
    content = bytearray(exchange.npz_content({"x": np.arange(100.0)}, {}))
    content[content.index(np.arange(100.0).tobytes()) + 77] ^= 1
    assert "CRC" in refusal(tmp_path / "x.npz", content)


def test_the_readmes_examples_of_other_tools_draw_the_same_kind_of_picture(runs, tmp_path, monkeypatch):
    for needed in ("torch", "onnx", "onnxruntime", "safetensors"):
        pytest.importorskip(needed)
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    shutil.copytree(runs["chaudhary2024"], tmp_path / "runs" / "chaudhary2024")
    monkeypatch.chdir(tmp_path)
    for arguments in re.findall(r"-m minigan\.export (.*)", readme):
        assert export.main(shlex.split(arguments, comments=True)) == 0
    drawn = 0
    for example in re.findall(r"^```py\n(.*?)^```", readme, re.M | re.S):
        exec(compile(example, "README.md", "exec"), {})
        if Path("grid.png").exists():
            drawn += Image.open("grid.png").convert("L").getextrema() > (0, 0)
            Path("grid.png").unlink()
    assert drawn == 2

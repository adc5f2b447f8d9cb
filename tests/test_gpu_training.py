"""Training on the GPU: captured steps are eager ones to the bit, runs resume there and across devices, the commands work.

On an emulated GPU always, with recipes of few channels where the size does not matter; on a real one where there is one.
"""

import contextlib
import csv

import numpy as np
import pytest
from gpus import emulated, on_gpus
from test_training import arrays

from minigan import backend, checkpoint, cli, data, recipes, sample, train, training
from minigan.errors import UserError
from minigan.kernels.cuda import convolution, loader
from minigan.optim import LossScale
from minigan.settings import default_settings, settings_of

NAMES = sorted(recipes.RECIPES)


def make_run(name, dataset, device="gpu", graph=True, **chosen):
    chosen = {"dataset": str(dataset), "batch_size": 4, "steps": 10, **chosen}
    return training.Run(default_settings(recipes.RECIPES[name], **chosen), device, graph)


def numbers_of(run):
    """{path: array or number} of all that decides the run's future."""
    return dict(arrays(checkpoint.unpack(checkpoint.pack(run.state()))))


def assert_same_bits(a, b):
    first, second = numbers_of(a), numbers_of(b)
    assert first.keys() == second.keys()
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path], err_msg=path)


def assert_close_runs(a, b, tolerance):
    """Counts are equal, numbers differ by less than a fraction of their array's size."""
    first, second = numbers_of(a), numbers_of(b)
    assert first.keys() == second.keys()
    for path, value in first.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            error = np.linalg.norm(value - second[path])
            assert error <= tolerance * max(np.linalg.norm(value), 1e-3), path
        else:
            np.testing.assert_array_equal(value, second[path], err_msg=path)


def rows_of(run, count):
    """The rows of so many steps, one after another, without the seconds."""
    return [run.advance()[:-1] for _ in range(count)]


# --- captured steps


def assert_captured_equals_eager(gpu, steps, name, dataset, **chosen):
    with gpu():
        captured, eager = (make_run(name, dataset, graph=graph, **chosen) for graph in (True, False))
        assert rows_of(captured, steps) == rows_of(eager, steps)
        assert_same_bits(captured, eager)
        assert captured._captured_steps and all(len(play._recorded) == 1 for play in captured._captured_steps.values())


@on_gpus
@pytest.mark.parametrize("name", NAMES)
def test_captured_steps_of_the_recipes_equal_eager_ones_to_the_bit(gpu, few_images, name):
    steps, batch = (2, 2) if gpu is emulated else (10, recipes.RECIPES[name].batch_size)
    assert_captured_equals_eager(gpu, steps, name, few_images if gpu is emulated else "mnist", batch_size=batch)


@on_gpus
@pytest.mark.parametrize("name, chosen", [
    ("chaudhary2024", {"d_steps": 2, "loss": "minimax"}),
    ("jeganathan2025", {"d_steps": 2, "d_steps_epochs": 1}),
])  # fmt: skip
def test_captured_steps_equal_eager_ones_to_the_bit_into_the_next_epoch(gpu, few_images, small_recipes, name, chosen):
    assert_captured_equals_eager(gpu, 6, name, few_images, **chosen)


@on_gpus
@pytest.mark.parametrize("name, precision", [
    ("chaudhary2024", "fp16"), ("jeganathan2025", "fp16"), ("jeganathan2025", "bf16"), ("jeganathan2025", "tf32"),
])  # fmt: skip
def test_captured_steps_in_every_precision_equal_eager_ones_to_the_bit(gpu, few_images, small_recipes, name, precision):
    with gpu(), contextlib.suppress(UserError):  # a real GPU may lack it
        backend.set_precision(precision, "gpu")
        assert_captured_equals_eager(gpu, 3, name, few_images)


@on_gpus
def test_steps_begun_together_equal_steps_one_by_one(gpu, few_images, small_recipes):
    with gpu():
        together, alone = (make_run("chaudhary2024", few_images) for _ in range(2))
        begun = together.enqueue(3)
        more = together.enqueue(2)
        rows = together.rows_of(begun, last=False) + together.rows_of(more)
        assert [row[:-1] for row in rows] == rows_of(alone, 5)
        assert_same_bits(together, alone)


@on_gpus
def test_what_is_read_later_is_what_was_there_when_it_was_asked_for(gpu):
    with gpu():
        array = backend.zeros_on("gpu", (3,))
        reads = []
        for value in range(3):
            backend.fill(array, value)
            reads.append(backend.read_later(array))
        backend.fill(array, 9)
        assert [read().tolist() for read in reads] == [[value] * 3 for value in range(3)]


@on_gpus
def test_the_log_of_losses_goes_round(gpu, few_images, small_recipes, monkeypatch):
    monkeypatch.setattr(training, "LOG_ROWS", 3)
    with gpu():
        short = make_run("chaudhary2024", few_images)
        rows = rows_of(short, 5)
        monkeypatch.setattr(training, "LOG_ROWS", 512)
        assert rows == rows_of(make_run("chaudhary2024", few_images), 5)


@on_gpus
@pytest.mark.parametrize("name, chosen", [
    ("chaudhary2024", {}), ("jeganathan2025", {}), ("chaudhary2024", {"d_steps": 2, "loss": "minimax"}),
])  # fmt: skip
def test_the_cpu_trains_to_almost_the_same_numbers(gpu, few_images, small_recipes, name, chosen):
    with gpu():
        there, here = (make_run(name, few_images, device, **chosen) for device in ("gpu", "cpu"))
        np.testing.assert_allclose(rows_of(there, 3), rows_of(here, 3), rtol=2e-3)
        assert_close_runs(there, here, 0.02)  # Adam turns a rounding error near 0 into a step of another sign


# --- resuming


def saved_and_restored(run, folder, device):
    """The run in a new Run on the device, by way of a file."""
    path = folder / "checkpoint.pkl"
    checkpoint.save(path, run.state())
    state = checkpoint.load(path)
    settings = settings_of(state, path)
    restored = training.Run(settings, device)
    restored.restore(state, path)
    return restored


@on_gpus
@pytest.mark.parametrize("name", NAMES)
def test_six_steps_are_three_and_three_resumed_to_the_bit(gpu, tmp_path, few_images, small_recipes, name):
    with gpu():
        whole, half = (make_run(name, few_images) for _ in range(2))
        rows = rows_of(half, 3)
        restored = saved_and_restored(half, tmp_path, "gpu")
        assert_same_bits(half, restored)
        assert rows + rows_of(restored, 3) == rows_of(whole, 6)
        assert_same_bits(whole, restored)


@on_gpus
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("first, second", [("gpu", "cpu"), ("cpu", "gpu")])
def test_a_run_goes_on_on_the_other_device(gpu, tmp_path, few_images, small_recipes, name, first, second):
    with gpu():
        run = make_run(name, few_images, first)
        rows_of(run, 2)
        restored = saved_and_restored(run, tmp_path, second)
        assert restored.device == second
        assert_same_bits(run, restored)
        np.testing.assert_allclose(rows_of(restored, 2), rows_of(run, 2), rtol=2e-3)
        assert_close_runs(run, restored, 0.02)


@on_gpus
def test_a_checkpoint_of_the_cpu_of_before_there_were_gpus_is_read(gpu, tmp_path, few_images, small_recipes):
    run = make_run("chaudhary2024", few_images, "cpu")
    rows_of(run, 1)
    state = run.state()
    del state["scales"], state["environment"]["precision"]
    with gpu():
        restored = make_run("chaudhary2024", few_images)
        restored.restore(checkpoint.unpack(checkpoint.pack(state)), tmp_path)
        rows_of(restored, 1)


# --- epochs


@on_gpus
def test_the_short_last_batch_and_the_next_epochs_order(gpu, few_images):
    images = data.load_images(str(few_images))
    with gpu():
        there, here = (data.Batches(images, 4, 7, device) for device in ("gpu", "cpu"))
        seen = []
        for step in range(7):
            found, expected = backend.to_numpy(there.batch(step)), here.batch(step)
            np.testing.assert_array_equal(found, expected)
            seen.append(found)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2, 4]
    first, second = np.concatenate(seen[:3]), np.concatenate(seen[3:6])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(*(np.sort(epoch.reshape(10, -1).sum(1)) for epoch in (first, second)))


@on_gpus
def test_every_kind_of_step_is_captured_once(gpu, few_images, small_recipes):
    with gpu():
        run = make_run("chaudhary2024", few_images, d_steps=2, d_steps_epochs=1)
        rows_of(run, 7)
        assert sorted(run._captured_steps) == [(2, 1), (2, 2), (4, 1), (4, 2)]
        assert all(len(play._recorded) == 1 for play in run._captured_steps.values())


# --- commands


TRAIN = ["--recipe", "chaudhary2024", "--batch-size", "4", "--steps", "3", "--sample-every", "2"]


def written(folder, dataset):
    """The options that train on a data set into a folder's `run`."""
    return ["--dataset", str(dataset), "--out", str(folder / "run")]


@on_gpus
def test_the_commands_train_resume_and_sample_on_the_gpu(gpu, tmp_path, few_images, small_recipes, capsys):
    folder, extra = tmp_path / "run", written(tmp_path, few_images)
    with gpu():
        assert train.main([*TRAIN, *extra, "--device", "gpu"]) == 0
        assert "on the GPU (" in capsys.readouterr().out
        resume = ["--resume", str(folder / "checkpoint.pkl"), "--steps", "5", "--device", "auto", "--no-graph"]
        assert train.main(resume) == 0
        assert sample.main([str(folder), "--device", "gpu", "--count", "5", "--out", str(tmp_path / "x.npy")]) == 0
        assert sample.main([str(folder), "--device", "cpu", "--count", "5", "--out", str(tmp_path / "y.npy")]) == 0
        whole = make_run("chaudhary2024", few_images, steps=5, sample_every=2)
        rows = []
        for _ in range(5):
            rows += rows_of(whole, 1)
            if whole.wants_sample():
                whole.samples()
    with open(folder / "metrics.csv") as file:
        found = [[float(value) for value in row[:6]] for row in list(csv.reader(file))[1:]]
    np.testing.assert_allclose(found, rows, rtol=1e-8)
    assert {path.name for path in (folder / "samples").iterdir()} >= {f"step_00000{n}.png" for n in (2, 3, 4, 5)}
    x, y = np.load(tmp_path / "x.npy"), np.load(tmp_path / "y.npy")
    assert x.shape == (5, 28, 28) and abs(x.astype(int) - y).max() <= 1
    assert np.ptp(x) > 0


def test_a_resume_on_another_device_says_that_bits_may_differ(tmp_path, few_images, small_recipes, capsys):
    assert train.main([*TRAIN, *written(tmp_path, few_images), "--device", "cpu"]) == 0
    resume = ["--resume", str(tmp_path / "run" / "checkpoint.pkl"), "--steps", "4", "--device", "gpu"]
    with emulated():
        assert train.main(resume) == 0
    assert "bits may differ" in capsys.readouterr().err


def refusal(capsys, arguments):
    """The one line in which `minigan.train` refuses the arguments, with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        cli.run(lambda: train.main(arguments))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("precision, able", [("tf32", "float32, fp16"), ("bf16", "float32, fp16")])
def test_a_precision_that_the_gpu_lacks_is_refused_by_name(
    tmp_path, capsys, monkeypatch, few_images, small_recipes, precision, able
):
    t4 = loader.Device("Tesla T4", multiprocessors=40, shared_bytes=64 << 10, compute_capability=75)
    monkeypatch.setattr(loader, "device", lambda: t4)
    with emulated():
        line = refusal(capsys, ["--device", "gpu", "--precision", precision, *TRAIN, *written(tmp_path, few_images)])
    assert f"--precision {precision}" in line and "Tesla T4" in line and able in line
    assert not (tmp_path / "run").exists()


def test_an_unknown_precision_is_refused(tmp_path, capsys):
    assert "int8" in refusal(capsys, ["--precision", "int8", *TRAIN])


# --- the scale of the loss


@on_gpus
def test_an_overflow_skips_the_step_and_halves_the_scale(gpu, few_images, small_recipes):
    with gpu():
        backend.set_precision("fp16", "gpu")
        run = make_run("chaudhary2024", few_images)
        assert run.players.scale_d.state_dict() == {"scale": LossScale.FIRST, "good_steps": 0}
        scale, other = run.players.scale_d, run.players.scale_g
        scale.scale[...] = other.scale[...] = 2.0**8
        rows_of(run, 1)
        assert scale.state_dict() == other.state_dict() == {"scale": 2.0**8, "good_steps": 1}
        scale.scale[...] = 2.0**125  # the next gradients of D overflow; those of G do not
        before = numbers_of(run)
        rows_of(run, 1)
        after = numbers_of(run)
        assert scale.state_dict() == {"scale": 2.0**124, "good_steps": 0}
        assert other.state_dict() == {"scale": 2.0**8, "good_steps": 2}
        for path, value in before.items():
            moved = not np.array_equal(value, after[path])
            if path.startswith("/discriminator") and "running" not in path and "num_batches" not in path:
                assert not moved, path
            if path.startswith("/optimizer_d"):
                assert not moved, path
            if path.startswith("/optimizer_g/state"):
                assert moved, path


@on_gpus
def test_the_scale_doubles_after_good_steps_and_is_saved(gpu, tmp_path, few_images, small_recipes, monkeypatch):
    monkeypatch.setattr(LossScale, "GROWTH_INTERVAL", 2)
    with gpu():
        backend.set_precision("fp16", "gpu")
        run = make_run("jeganathan2025", few_images)
        states = []
        for _ in range(3):
            rows_of(run, 1)
            states.append(run.players.scale_g.state_dict())
        first = LossScale.FIRST
        assert [s["scale"] for s in states] == [first, 2 * first, 2 * first]
        assert [s["good_steps"] for s in states] == [1, 0, 1]
        restored = saved_and_restored(run, tmp_path, "gpu")
        assert restored.players.scale_g.state_dict() == states[-1]
        assert rows_of(restored, 2) == rows_of(run, 2)
        assert_same_bits(run, restored)
        state = run.state()
        for wrong in ({"scale": 0.0, "good_steps": 0}, {"scale": 2.0, "good_steps": -1}, {"scale": 2.0}):
            state["scales"] = [wrong, wrong]
            with pytest.raises(UserError, match="damaged"):
                make_run("jeganathan2025", few_images).restore(state, tmp_path)


@on_gpus
def test_changing_the_scale_changes_nothing_but_rounding(gpu, few_images, small_recipes):
    with gpu():
        backend.set_precision("fp16", "gpu")
        plain, scaled = (make_run("chaudhary2024", few_images) for _ in range(2))
        for run, value in ((plain, 2.0), (scaled, 2.0**5)):
            run.players.scale_g.scale[...] = run.players.scale_d.scale[...] = value
        np.testing.assert_allclose(rows_of(plain, 2), rows_of(scaled, 2), rtol=0.01)
        first, second = numbers_of(plain), numbers_of(scaled)
        moments = [path for path in first if "exp_avg" in path]  # which the gradients' size shows in
        assert moments
        for path in moments:
            assert np.linalg.norm(first[path] - second[path]) <= 0.05 * np.linalg.norm(first[path]), path

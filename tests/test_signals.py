"""Live signals: right numbers, no trace in the training, the same resumed and on the GPU; and metrics.csv with them."""

import math

import numpy as np
import pytest
import test_gpu_training
from conftest import assert_refused, run_command, write_idx
from gpus import on_gpus
from test_training import arrays, assert_same_run, make_run, resumed, trained

from minigan import checkpoint, data, gan, nn, recipes, rows, run_folder, signals, training
from minigan.errors import UserError
from minigan.settings import FREE_SETTINGS, default_settings, settings_of
from minigan.tensor import Tensor, concatenate

NAMES = sorted(recipes.RECIPES)


class ByBrightness(nn.Module):
    """A judge that takes an image for a digit by its mean pixel."""

    def forward(self, x):
        levels = np.linspace(-1, 1, 10, dtype=np.float32).reshape(1, 10)
        difference = x.mean((1, 2, 3)).reshape(-1, 1) - Tensor(levels).to(x.device)
        return -(difference * difference)


@pytest.fixture
def judged(monkeypatch):
    """Inside the test, every run's images count as digits."""
    monkeypatch.setattr(signals, "_own_judge", lambda run: ByBrightness())


def without_clock(folder):
    return [{**row, "seconds": None} for row in rows.read(folder.metrics)]


@pytest.mark.parametrize("name", NAMES)
def test_training_has_the_same_bits_probed_and_not(tmp_path, small_dataset, small_recipes, judged, name):
    probed, plain = (
        trained(tmp_path / str(every), make_run(name, small_dataset, steps=6, sample_every=3, probe_every=every))
        for every in (1, 0)
    )
    first, second = (dict(arrays(checkpoint.load(folder.checkpoint))) for folder in (probed, plain))
    assert first.keys() == second.keys()
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path], err_msg=path)
    for with_signals, without in zip(without_clock(probed), without_clock(plain), strict=True):
        assert all(with_signals[column] is not None for column in rows.SIGNALS)
        assert with_signals | dict.fromkeys(rows.SIGNALS) == without
    for picture in plain.samples.iterdir():
        assert picture.read_bytes() == (probed.samples / picture.name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_has_the_same_signals(tmp_path, small_dataset, small_recipes, judged, name):
    whole = trained(tmp_path / "whole", make_run(name, small_dataset, probe_every=2))
    halves = trained(tmp_path / "halves", make_run(name, small_dataset, probe_every=2, steps=5))
    resumed(halves, steps=10)
    assert_same_run(whole, halves)
    assert [row["step"] for row in rows.read(whole.metrics) if row["gradient_g"]] == [2, 4, 6, 8, 10]


@on_gpus
@pytest.mark.parametrize("name", NAMES)
def test_signals_on_the_gpu_are_those_of_the_cpu_and_leave_no_trace(
    tmp_path, gpu, few_images, small_recipes, judged, name, monkeypatch
):
    monkeypatch.setattr(signals, "FRESH", 5)
    monkeypatch.setattr(signals, "GAME_IMAGES", 4)
    with gpu():
        runs = [test_gpu_training.make_run(name, few_images, device, steps=4, probe_every=every)
                for device, every in (("gpu", 2), ("gpu", 0), ("cpu", 2))]  # fmt: skip
        assert runs[0].steps_until_pause() == 2
        folders = [trained(tmp_path / str(n), run) for n, run in enumerate(runs)]
        test_gpu_training.assert_same_bits(runs[0], runs[1])
    (there, _, here) = ([row for row in rows.read(folder.metrics) if row["gradient_g"]] for folder in folders)
    assert [row["step"] for row in there] == [row["step"] for row in here] == [2, 4]
    for a, b in zip(there, here):
        for column in ("gradient_d", "gradient_g", "diversity", "update_d", "update_g"):
            assert math.isclose(a[column], b[column], rel_tol=0.05), column
        assert sum(a["classes_fixed"]) == 4 and sum(a["classes_fresh"]) == signals.FRESH


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_are_those_of_the_definition(small_dataset, small_recipes, name):
    run = make_run(name, small_dataset, batch_size=8)
    for _ in range(2):
        run.advance()
    for module in run.players.discriminator.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # so that nothing depends on its draws
    probe = signals.Probe(run)
    found = probe()
    assert found == probe()  # and a second look sees the same
    players, (latents, images) = run.players, (probe.latents, probe.images)
    latents.draw, images.draw = 2, 2
    z = latents.normal((signals.FRESH, *run.recipe.latent_shape))
    chosen = (images.uniform((16,), np.float64) * len(run.images)).astype(int)
    reals = data.to_signed(run.images[chosen])[:, None]
    loss_d = loss_g = 0.0
    outputs = []
    for half in (slice(0, 8), slice(8, 16)):  # two batches, one after another
        fake = players.generator(Tensor(z[half]))
        d_real, d_fake = players.discriminator(Tensor(reals[half])), players.discriminator(fake)
        loss_d = loss_d + gan.discriminator_loss(players.criterion, d_real, d_fake) / 2
        loss_g = loss_g + gan.generator_loss(players.criterion, d_fake) / 2
        both = concatenate([d_real.reshape(-1), d_fake.reshape(-1)])
        outputs.append((both.sigmoid() if run.recipe.returns_logits else both).numpy().reshape(2, 8))
    for loss, network, column in (
        (loss_d, players.discriminator, "gradient_d"), (loss_g, players.generator, "gradient_g"),
    ):  # fmt: skip
        network.zero_grad()
        loss.backward()
        squares = [np.sum(np.asarray(p.grad.numpy(), float) ** 2) for p in network.parameters()]
        assert math.isclose(found[column], math.sqrt(sum(squares)), rel_tol=1e-4)
        players.discriminator.zero_grad()
    real, fake = np.concatenate(outputs, axis=1)
    assert found["d_accuracy"] == ((real > 0.5).sum() + (fake < 0.5).sum()) / 32
    both = np.concatenate([real, fake])
    assert found["d_saturation"] == (np.minimum(both, 1 - both) <= 0.01).mean()


def test_saturated_outputs_are_counted(small_dataset, small_recipes):
    run = make_run("jeganathan2025", small_dataset)
    weights = run.players.discriminator.state_dict()
    weights["7.weight"][...], bias = 0, weights["7.bias"]
    for value, accuracy, saturation in ((100, 0.5, 1), (-100, 0.5, 1), (4, 0.5, 0)):
        bias[...] = value
        found = signals.Probe(run)()
        assert (found["d_accuracy"], found["d_saturation"]) == (accuracy, saturation)


def test_the_relative_step_is_how_far_the_last_step_went(small_dataset, small_recipes):
    for name in NAMES:
        run = make_run(name, small_dataset)
        optimizer = run.players.optimizer_g
        assert signals.relative_step(optimizer) == 0
        for _ in range(3):
            before = [p.data.astype(np.float64) for p in optimizer.params]
            run.advance()
        moved = sum(((p.data - b) ** 2).sum() for p, b in zip(optimizer.params, before))
        size = sum((p.data.astype(np.float64) ** 2).sum() for p in optimizer.params)
        assert math.isclose(signals.relative_step(optimizer), math.sqrt(moved / size), rel_tol=1e-3)


def test_distances_and_entropies_are_those_of_the_definition():
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
    pairs = [np.linalg.norm(images[i].astype(float) - images[j]) for i in range(7) for j in range(i)]
    assert math.isclose(signals.mean_distance(images), np.mean(pairs), rel_tol=1e-12)
    assert signals.mean_distance(images[[0, 0, 0]]) == 0
    assert math.isclose(signals.entropy((3,) * 10), math.log(10)) and signals.entropy((0,) * 9 + (5,)) == 0
    assert math.isclose(signals.entropy((1, 3) + (0,) * 8), -(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


def test_images_that_are_no_digits_have_no_classes(tmp_path, small_dataset, small_recipes):
    folder = trained(tmp_path / "run", make_run("chaudhary2024", small_dataset, steps=2, probe_every=2))
    _, row = rows.read(folder.metrics)
    assert row["diversity"] > 0 and row["classes_fixed"] is row["entropy_fresh"] is None


# --- metrics.csv


def test_rows_come_back_as_they_were_written(tmp_path):
    row = (1, 1, 0.5, -0.25, 1 / 3, 1e-30, 2.0)
    seen = {"d_accuracy": 1.0, "classes_fixed": tuple(range(10)), "entropy_fixed": 0.0}
    for written in (seen, None):
        line = ",".join(rows.cells(row, written))
        assert rows.padded(line, 1) == line
        (tmp_path / "metrics.csv").write_text(f"{','.join(rows.COLUMNS)}\n{line}\n2,1,0.")
        (found,) = rows.read(tmp_path / "metrics.csv")
        expected = {**dict.fromkeys(rows.COLUMNS), **dict(zip(rows.STEP_COLUMNS, row)), **(written or {})}
        assert found == {**expected, "d_real": 0.333333333}


@pytest.mark.parametrize("line", [
    "2,1,1,1,1,1,1", "1,1,1,1,1,1", "1,1,1,1,1,1,x", "1,1,1,1,,1,1" + "," * 11, "1,1,1,1,1,1,1" + "," * 12,
    "1,1,1,1,1,1,1,,,,,,1 2 3,,,,,", "1,1,1,1,1,1,1,x" + "," * 10,
])  # fmt: skip
def test_a_line_that_is_not_the_steps_row_is_refused(line):
    assert rows.padded("1,1,1,1,1,1,1,,,,,,1 2 3 4 5 6 7 8 9 0,,,,,", 1)
    with pytest.raises(ValueError):
        rows.padded(line, 1)


def test_a_run_of_before_there_were_signals_resumes(tmp_path, small_dataset, small_recipes):
    whole = trained(tmp_path / "whole", make_run("chaudhary2024", small_dataset, probe_every=7))
    halves = trained(tmp_path / "halves", make_run("chaudhary2024", small_dataset, probe_every=7, steps=5))
    old = [line.split(",")[:7] for line in halves.metrics.read_text().splitlines()]
    halves.metrics.write_text("".join(",".join(line) + "\n" for line in old))
    state = checkpoint.load(halves.checkpoint)
    del state["settings"]["probe_every"], state["settings"]["ema"]
    checkpoint.save(halves.checkpoint, state)
    assert len(rows.read(halves.metrics)) == 5 and rows.read(halves.metrics)[0]["d_accuracy"] is None
    resumed(halves, steps=10, probe_every=7)
    assert_same_run(whole, halves)


def test_what_is_no_metrics_file_is_refused(tmp_path):
    for content in ("", "a,b\n1,2\n", ",".join(rows.COLUMNS) + "\n1,2\n"):
        (tmp_path / "metrics.csv").write_text(content)
        with pytest.raises(ValueError):
            rows.read(tmp_path / "metrics.csv")


@pytest.mark.parametrize("name", NAMES)
def test_how_often_is_by_recipe_or_chosen_and_may_change(small_dataset, name):
    every = recipes.RECIPES[name].probe_every
    for chosen, steps in ((None, [every, 2 * every]), (every // 2, [every // 2, every]), (0, [])):
        run = make_run(name, small_dataset, probe_every=chosen)
        assert [step for step in range(1, 2 * every + 1) if run.wants_probe(step)][:2] == steps
    assert "probe_every" in FREE_SETTINGS


@pytest.mark.parametrize("value", [-1, True, 2**31])
def test_an_impossible_interval_in_a_checkpoint_is_refused(tmp_path, small_dataset, value):
    state = make_run("chaudhary2024", small_dataset).state()
    state["settings"]["probe_every"] = value
    with pytest.raises(UserError, match="probe_every"):
        settings_of(state, tmp_path)


def test_a_negative_interval_is_refused_on_the_command_line(tmp_path):
    process = run_command("minigan.train", "--probe-every", "-1", "--out", tmp_path / "r")
    assert_refused(process, "--probe-every", "at least 0")


def test_the_folder_writes_the_header_it_reads(tmp_path, small_dataset):
    folder = run_folder.RunFolder(tmp_path / "run")
    folder.create(make_run("chaudhary2024", small_dataset))
    assert rows.read(folder.metrics) == []  # at once, for who looks at a run that has just begun
    folder.close()


def test_images_that_are_all_the_same_can_be_trained_on(tmp_path, small_recipes):
    same = np.repeat(data.load_images("mnist", ("train",))[:1], 8, 0)
    write_idx(tmp_path / "train-images-idx3-ubyte", same)
    run = make_run("chaudhary2024", tmp_path, batch_size=4)
    run.advance()
    assert np.isfinite(signals.Probe(run)()["diversity"])


def test_mnists_digits_are_counted_by_the_judge_that_ships_with_minigan(monkeypatch):
    run = training.Run(default_settings(recipes.RECIPES["chaudhary2024"], batch_size=4))
    run.advance()
    seen = signals.Probe(run)()
    assert sum(seen["classes_fixed"]) == run.recipe.samples and sum(seen["classes_fresh"]) == signals.FRESH
    real = data.load_images("mnist", ("t10k",))[:200]
    labels = data.load_labels("mnist", ("t10k",))[:200]
    monkeypatch.setattr(gan, "generate", lambda network, latents, device: real[: len(latents)])
    seen = signals.Probe(run)()
    assert seen["classes_fixed"] == tuple(np.bincount(labels[: run.recipe.samples], minlength=10).tolist())
    assert 0.9 < seen["diversity"] < 1.1 and seen["entropy_fixed"] > 2

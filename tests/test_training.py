"""Runs: the same bits in one go and resumed, on the small data set, through the library."""

import csv
import dataclasses
import functools
import gc

import numpy as np
import pytest

from minigan import checkpoint, data, evaluation, gan, loop, random, recipes, run_folder, train, training
from minigan.errors import UserError
from minigan.kernels import pool
from minigan.nn import BCELoss
from minigan.settings import default_settings, settings_of
from minigan.tensor import Tensor


def make_run(recipe, dataset, **chosen):
    chosen = {"dataset": str(dataset), "batch_size": 8, "steps": 10, **chosen}
    return training.Run(default_settings(recipes.RECIPES[recipe], **chosen))


def trained(folder, run):
    folder = run_folder.RunFolder(folder)
    folder.create(run)
    loop.train(run, folder, quiet=True)
    return folder


def resumed(folder, **changes):
    state = checkpoint.load(folder.checkpoint)
    settings = dataclasses.replace(settings_of(state, folder.checkpoint), **changes)
    run = training.Run(settings)
    run.restore(state, folder.checkpoint)
    folder.reopen(run, folder.checkpoint)
    loop.train(run, folder, quiet=True)


def arrays(value, path=""):
    """Every array and number of a state that decides the future, by its path."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("seconds", "settings", "environment"):
                yield from arrays(item, f"{path}/{name}")
    else:
        yield path, value


def assert_same_run(a, b):
    first, second = (dict(arrays(checkpoint.load(folder.checkpoint))) for folder in (a, b))
    assert first.keys() == second.keys()
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path], err_msg=path)
    rows = [[row[:6] + row[7:] for row in csv.reader(open(folder.metrics))] for folder in (a, b)]  # but seconds
    assert rows[0] == rows[1] and len(rows[0]) == first["/step"] + 1
    pictures = [{p.name: p.read_bytes() for p in folder.samples.iterdir()} for folder in (a, b)]
    assert pictures[0].items() <= pictures[1].items()


@pytest.mark.parametrize("recipe, options", [
    ("chaudhary2024", {"sample_every": 3}),
    ("chaudhary2024", {"d_steps": 2, "loss": "minimax"}),
    ("jeganathan2025", {"d_steps": 2, "d_steps_epochs": 1}),
])  # fmt: skip
def test_ten_steps_are_five_and_five_resumed_to_the_bit(tmp_path, small_dataset, recipe, options):
    whole = trained(tmp_path / "whole", make_run(recipe, small_dataset, **options))
    halves = trained(tmp_path / "halves", make_run(recipe, small_dataset, **options, steps=5))
    resumed(halves, steps=10)
    assert_same_run(whole, halves)


def test_rows_after_the_checkpoint_are_dropped_on_resume(tmp_path, small_dataset):
    whole = trained(tmp_path / "whole", make_run("chaudhary2024", small_dataset))
    halves = trained(tmp_path / "halves", make_run("chaudhary2024", small_dataset, steps=5))
    with open(halves.metrics, "a") as rows:
        rows.write("6,1,0.1,0.2,0.3,0.4,0.5\n7,1,0.")  # as a killed process might leave it
    resumed(halves, steps=10)
    assert_same_run(whole, halves)


def change(state, path, value):
    *parents, last = path
    for name in parents:
        state = state[name]
    if value is None:
        del state[last]
    else:
        state[last] = value


@pytest.mark.parametrize("path, value", [
    (["settings", "seed"], 2**64), (["settings", "d_steps"], 0), (["settings", "checkpoint_every"], 0),
    (["settings", "lr_g"], float("nan")), (["settings", "loss"], "foo"), (["settings", "recipe"], "foo"),
    (["settings", "dataset"], "x\ny"), (["settings", "batch_size"], True), (["settings"], None),
    (["dataset"], np.zeros(3)), (["dataset"], None), (["environment"], None), (["step"], -1), (["step"], "x"),
    (["draws", "noise"], 2**64), (["draws"], None), (["seconds"], "x"), (["generator"], None),
    (["generator", "0.weight"], np.zeros((2, 2), np.float32)), (["generator", "1.num_batches_tracked"], 2**70),
    (["optimizer_g", "state", 0, "step"], -5), (["optimizer_g", "state", 0, "exp_avg_sq"], None),
    (["optimizer_g", "state", 0, "exp_avg"], np.zeros(3)), (["optimizer_d", "param_groups"], []),
    (["optimizer_d", "state", 99], {"step": 1}), (["optimizer_d", "state"], 5),
])  # fmt: skip
def test_a_wellformed_checkpoint_with_impossible_contents_is_refused_in_one_line(tmp_path, small_dataset, path, value):
    run = make_run("chaudhary2024", small_dataset)
    run.advance()
    state = checkpoint.unpack(checkpoint.pack(run.state()))
    change(state, path, value)
    with pytest.raises(UserError) as caught:
        settings = settings_of(state, tmp_path)
        training.Run(settings).restore(state, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [["generator", "1.running_var"], ["optimizer_d", "state", 0, "exp_avg_sq"]])
def test_a_checkpoint_whose_variances_or_squares_are_below_zero_is_refused(tmp_path, small_dataset, path):
    run = make_run("chaudhary2024", small_dataset)
    run.advance()
    state = checkpoint.unpack(checkpoint.pack(run.state()))
    training.Run(settings_of(state, tmp_path)).restore(state, tmp_path)
    *keys, last = path
    owner = functools.reduce(lambda level, key: level[key], keys, state)
    owner[last] = owner[last] - 1
    with pytest.raises(UserError, match="is damaged: .* is below zero"):
        training.Run(settings_of(state, tmp_path)).restore(state, tmp_path)


def test_an_optimizers_settings_come_from_the_run_and_never_from_the_file(tmp_path, small_dataset):
    run = make_run("chaudhary2024", small_dataset)
    run.advance()
    state = checkpoint.unpack(checkpoint.pack(run.state()))
    state["optimizer_g"]["param_groups"][0].update(betas="xx", eps={}, lr="y", weight_decay=[])
    other = make_run("chaudhary2024", small_dataset)
    other.restore(state, tmp_path)
    assert other.players.optimizer_g.settings == run.players.optimizer_g.settings


def test_the_seed_decides_the_run(tmp_path, small_dataset):
    a = trained(tmp_path / "a", make_run("chaudhary2024", small_dataset, steps=2))
    b = trained(tmp_path / "b", make_run("chaudhary2024", small_dataset, steps=2, seed=1))
    assert a.metrics.read_text() != b.metrics.read_text()


def test_drawing_samples_shifts_nothing_but_train_mode_statistics(small_dataset):
    plain, sampled = (make_run("jeganathan2025", small_dataset) for _ in range(2))
    for _ in range(3):
        plain.advance(), sampled.advance(), sampled.samples()
    for (path, a), (_, b) in zip(arrays(plain.state()), arrays(sampled.state())):
        np.testing.assert_array_equal(a, b, err_msg=path)


def test_train_mode_samples_move_running_statistics_only_on_their_schedule(small_dataset):
    run = make_run("chaudhary2024", small_dataset, sample_every=2)
    moved = []
    for _ in range(2):
        run.advance()
        before = run.state()["generator"]["1.running_mean"].copy()
        run.samples()
        moved.append(not np.array_equal(before, run.state()["generator"]["1.running_mean"]))
    assert moved == [False, True]


def test_jeganathan_samples_after_the_first_and_every_tenth_epoch(small_dataset):
    run = make_run("jeganathan2025", small_dataset, batch_size=40)  # 80 images: 2 steps an epoch
    wanted = []
    for run.step in range(1, 61):
        if run.wants_sample():
            wanted.append(run.step)
    assert wanted == [2, 20, 40, 60]


def test_checkpoints_come_by_epochs_and_by_steps(small_dataset):
    run = make_run("chaudhary2024", small_dataset, batch_size=16, checkpoint_every=2, checkpoint_steps=3)  # 4 an epoch
    wanted = []
    for run.step in range(1, 17):
        if run.wants_checkpoint():
            wanted.append(run.step)
    assert wanted == [3, 6, 8, 9, 12, 15, 16]


def test_more_discriminator_steps_only_in_the_first_epochs(small_dataset):
    run = make_run("chaudhary2024", small_dataset, batch_size=32, d_steps=3, d_steps_epochs=1)  # 2 steps an epoch
    draws = []
    for _ in range(4):
        before = run.noise.draw
        run.advance()
        draws.append(run.noise.draw - before)
    assert draws == [3, 3, 1, 1]
    assert run.players.optimizer_d.state[0]["step"] == 8 and run.players.optimizer_g.state[0]["step"] == 4


@pytest.mark.parametrize("recipe", sorted(recipes.RECIPES))
def test_a_real_images_probability_is_a_probability(small_dataset, recipe):
    row = make_run(recipe, small_dataset).advance()
    assert 0 < row[4] < 1 and 0 < row[5] < 1


def test_one_step_keeps_nothing_of_the_graph_alive(small_dataset):
    run = make_run("chaudhary2024", small_dataset)
    run.advance()
    gc.collect()
    gc.disable()
    try:
        counts = []
        for _ in range(3):
            run.advance()
            counts.append(sum(issubclass(type(o), (Tensor, gan.Outcome)) for o in gc.get_objects()))
        assert len(set(counts)) == 1
    finally:
        gc.enable()


def test_outputs_of_one_step_survive_the_next(small_dataset):
    """The buffer pool must not hand out memory that somebody still holds."""
    run = make_run("chaudhary2024", small_dataset, batch_size=64)
    fake = run.players.generator(Tensor(run.noise.normal((64, 100, 1, 1))))
    before_tanh = fake.inputs[0].data
    assert before_tanh.nbytes >= pool.SMALLEST  # large enough for the pool to lend it
    kept = before_tanh.copy()
    run.advance()
    np.testing.assert_array_equal(before_tanh, kept)


def test_recipes_name_their_paper_and_state_deviations_in_sentences():
    for recipe in recipes.RECIPES.values():
        assert recipe.paper and all(sentence.endswith(".") for sentence in recipe.deviations)


def test_generators_of_different_purposes_are_independent():
    a, b = (random.Generator(5, p).normal((1000,)) for p in (random.NOISE, random.SAMPLES))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.1
    first = random.Generator(5, random.NOISE)
    first.normal((7,))
    second = random.Generator(5, random.NOISE)
    second.draw = 1
    np.testing.assert_array_equal(first.normal((9,)), second.normal((9,)))


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="nonsaturating"):
        gan.generator_loss(BCELoss(), Tensor([[0.5]]), "wasserstein")


@pytest.mark.parametrize("options, scored", [(["--score"], True), ([], False), (["--score", "--steps", "2"], True)])
def test_a_run_that_is_told_to_is_scored_at_its_end(
    tmp_path, small_dataset, small_recipes, monkeypatch, capsys, options, scored
):
    monkeypatch.setattr(evaluation, "COUNT", 20)
    arguments = ["--dataset", str(small_dataset), "--epochs", "1", "--batch-size", "32", "--device", "cpu"]
    assert train.main([*arguments, "--out", str(tmp_path / "run"), *options]) == 0
    assert (tmp_path / "run" / "scores.json").exists() == scored
    assert ("Fréchet" in capsys.readouterr().out) == scored
    assert ("Not scored" in (tmp_path / "run" / "report.html").read_text()) != scored


@pytest.mark.parametrize("options, scored", [([], True), (["--no-score"], False), (["--steps", "1"], False)])
def test_by_default_all_epochs_of_mnist_are_scored(monkeypatch, tmp_path, few_images, small_recipes, options, scored):
    calls = []
    monkeypatch.setattr(train.evaluate, "main", calls.append)
    monkeypatch.setattr(data, "load_images", lambda *_, images=data.load_images(str(few_images)): images)
    arguments = ["--epochs", "1", "--batch-size", "4", "--device", "cpu", "--probe-every", "0", "--quiet"]
    assert train.main([*arguments, "--out", str(tmp_path / "run"), *options]) == 0
    assert bool(calls) == scored

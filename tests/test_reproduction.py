"""Comparisons over seeds: the interval against SciPy's, the trainings by PyTorch, and the command from end to end."""

import json
import statistics

import numpy as np
import pytest
from conftest import assert_refused, run_command
from PIL import Image

from minigan import backend, checkpoint, data, evaluation, plots, reproduce, reproduction, reproduction_figures
from minigan.errors import UserError

torch = pytest.importorskip("torch")
stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("freedom", [1.0, 2.5, 4.0, 8.0, 37.2])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.95, 0.975, 0.995])
def test_quantiles_of_students_distribution_equal_scipys(probability, freedom):
    found = reproduction.students_quantile(probability, freedom)
    assert found == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-5, abs=1e-9)


def test_the_interval_of_the_difference_is_welchs():
    rng = np.random.default_rng(0)
    ours, peers = rng.normal(3.0, 0.1, 5), rng.normal(3.2, 0.4, 7)
    expected = stats.ttest_ind(ours, peers, equal_var=False).confidence_interval(0.95)
    found = reproduction.comparison(list(ours), list(peers))
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), rel=1e-5)
    assert found["difference"] == pytest.approx(ours.mean() - peers.mean())
    assert found["share"] == pytest.approx((expected.high - expected.low) / peers.mean(), rel=1e-5)


def test_verdicts_say_what_the_interval_allows():
    def verdict(ours, peers):
        return reproduction.verdict(reproduction.comparison(ours, peers))

    assert verdict([1.0, 1.01, 0.99], [1.001, 1.011, 0.991]) == "alike"
    assert verdict([1.0, 1.01, 0.99], [2.0, 2.01, 1.99]) == "they differ"
    assert "not told apart" == verdict([1.0, 2.0, 0.5], [1.1, 1.9, 0.4])


def test_shuffled_batches_take_every_image_once_an_epoch_in_a_new_order():
    from minigan.torch_training import ShuffledBatches

    batches = ShuffledBatches(12, 4, "cpu")
    first = torch.cat([batches() for _ in range(3)])
    batches.shuffle()
    second = torch.cat([batches() for _ in range(3)])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(12))
    assert first.tolist() != second.tolist()


def test_a_training_by_pytorch_starts_from_our_weights_and_is_the_same_again():
    from minigan import recipes, torch_training

    start = recipes.build(recipes.chaudhary2024, 3)[0].state_dict()
    before, once, again = (torch_training.train("chaudhary2024", 3, steps) for steps in (0, 2, 2))
    for key, array in start.items():
        np.testing.assert_array_equal(before[key], array, err_msg=key)
        np.testing.assert_array_equal(once[key], again[key], err_msg=key)
    assert not np.array_equal(once["0.weight"], before["0.weight"])


def test_the_command_trains_both_goes_on_and_scores(tmp_path, small_dataset, monkeypatch, capsys):
    measured = evaluation.Reference  # against few images, for speed
    monkeypatch.setattr(evaluation, "Reference", lambda dataset, *others: measured(str(small_dataset), *others))
    out = tmp_path / "seeds"
    common = ["chaudhary2024", "--device", "cpu", "--count", "40", "--steps", "2", "--out", str(out)]
    assert reproduce.main([*common, "--seeds", "1", "--only", "train"]) == 0
    first = (out / "minigan-0-steps-2-images-40.npz").read_bytes()
    assert reproduce.main([*common, "--seeds", "2", "--against", "torch"]) == 0
    assert (out / "minigan-0-steps-2-images-40.npz").read_bytes() == first
    names = {f"{who}-{seed}-steps-2-images-40.npz" for who in ("minigan", "pytorch") for seed in (0, 1)}
    assert {path.name for path in out.glob("*.npz")} == names
    kept = json.loads((out / "reproduction.json").read_text())
    assert len(kept) == 4
    printed = capsys.readouterr().out.splitlines()
    line = next(line for line in printed if line.startswith("inception score"))
    mean = statistics.fmean(scores["inception_score"] for key, scores in kept.items() if key.startswith("minigan"))
    assert f" {mean:.4g} ± " in line and line.endswith(("alike", "they differ", "not told apart"))
    assert any("minigan (2)" in line and "pytorch (2)" in line for line in printed)
    with np.load(out / "pytorch-1-steps-2-images-40.npz") as stored:
        assert stored["images"].shape == (40, data.SIDE, data.SIDE) and stored["images"].dtype == np.uint8
    for name in ("losses.png", "images.png"):
        assert f"Figure: {out / name}" in printed and Image.open(out / name).width > 300
    with pytest.raises(UserError, match="with --ema None, not 0.5"):
        reproduce.main([*common, "--seeds", "1", "--ema", "0.5"])
    (out / "minigan-0" / "metrics.csv").write_text("")
    (out / "reproduction.json").write_text("{")
    with pytest.raises(UserError, match="delete it"):
        reproduce.main([*common, "--seeds", "2", "--only", "score"])
    (out / "reproduction.json").unlink()
    assert reproduce.main([*common, "--seeds", "2", "--only", "score"]) == 0  # the other seed has its rows
    reproduction.train_in_torch(out, "chaudhary2024", 0, 2, 40, "gpu", "tf32", None)
    reproduction.train_ours(out, "chaudhary2024", 0, 2, 40, "gpu", "float32")
    assert capsys.readouterr().err.count("is there already, from the CPU in float32") == 2
    with pytest.raises(UserError, match="another recipe, chaudhary2024"):
        reproduction.train_in_torch(out, "jeganathan2025", 0, 2, 40, "cpu", "float32", None)
    with pytest.raises(UserError, match="2 steps already"):
        reproduce.main([*common, "--seeds", "1", "--steps", "1"])
    assert (
        reproduce.main([*common, "--seeds", "1", "--count", "30"]) == 0
    )  # one seed and other images: no others' scores
    printed = capsys.readouterr().out
    assert "minigan (1)" in printed and "pytorch" not in printed
    assert reproduce.main([*common, "--seeds", "1", "--steps", "3"]) == 0  # the training goes on, its images are new
    assert (out / "minigan-0-steps-3-images-40.npz").exists()


def test_the_command_trains_in_other_precisions_and_compares_each(tmp_path, small_dataset, monkeypatch, capsys):
    measured = evaluation.Reference
    monkeypatch.setattr(evaluation, "Reference", lambda dataset, *others: measured(str(small_dataset), *others))
    common = [
        "chaudhary2024",
        "--device",
        "cpu",
        "--count",
        "40",
        "--steps",
        "2",
        "--seeds",
        "2",
        "--out",
        str(tmp_path),
    ]
    assert reproduce.main([*common, "--precision", "tf32", "--against", "float32", "--against", "bf16"]) == 0
    printed = capsys.readouterr().out
    for other in ("float32", "bf16"):
        header = next(line for line in printed.splitlines() if f"minigan-{other} (2)" in line)
        assert header.split()[:4] == ["minigan", "(2)", f"minigan-{other}", "(2)"]
        assert header.endswith("difference of the means")
        precisions = {checkpoint.load(tmp_path / f"minigan-{other}-{seed}" / "checkpoint.pkl")["environment"]["precision"]
                      for seed in (0, 1)}  # fmt: skip
        assert precisions == {other}
    assert printed.count("Mean ± standard deviation") == 1 and f"Figure: {tmp_path / 'trainers.png'}" in printed
    assert checkpoint.load(tmp_path / "minigan-0" / "checkpoint.pkl")["environment"]["precision"] == "tf32"
    different = [np.load(tmp_path / f"{who}-0-steps-2-images-40.npz")["images"] for who in ("minigan", "minigan-bf16")]
    assert not np.array_equal(*different)
    heights = [Image.open(tmp_path / name).height for name in ("losses.png", "trainers.png")]
    assert heights[0] > 700 and heights[1] > 100
    with pytest.raises(UserError, match="--against tf32: that is what"):
        reproduce.main([*common, "--precision", "tf32", "--against", "tf32"])
    monkeypatch.setattr(backend, "why_no_gpu", lambda: "there is none")
    with pytest.raises(UserError, match="--against bf16: there is none"):
        reproduce.main(["chaudhary2024", "--against", "bf16", "--out", str(tmp_path / "other")])
    auto = [part for part in common if part not in ("--device", "cpu")]
    assert reproduce.main([*auto, "--precision", "tf32", "--against", "bf16", "--only", "score"]) == 0
    with pytest.raises(UserError, match="was trained in tf32, not float32"):
        reproduce.main(common)


def test_images_are_cut_out_of_a_grid_as_they_were_put_in(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, data.SIDE, data.SIDE), np.uint8)
    plots.save_grid(tmp_path / "grid.png", images)
    np.testing.assert_array_equal(reproduction_figures.images_of(tmp_path / "grid.png")[:7], images)


def test_wrong_arguments_are_refused(tmp_path):
    assert_refused(run_command("minigan.reproduce", "chaudhary2024", "--out", tmp_path, "--only", "score"), "no images")
    assert_refused(run_command("minigan.reproduce", "chaudhary2024", "--out", tmp_path, "--count", "2"), "--count 2")


def test_trainings_of_another_recipe_and_damaged_images_are_refused(tmp_path, small_dataset):
    run = run_command(
        "minigan.train", "--steps", 1, "--batch-size", 4, "--dataset", small_dataset, "--out", tmp_path / "minigan-0"
    )
    assert run.returncode == 0, run.stderr
    refused = run_command("minigan.reproduce", "jeganathan2025", "--steps", 1, "--out", tmp_path, "--only", "train")
    assert_refused(refused, "another recipe", "chaudhary2024")
    for content in (b"", b"no archive", b"PK\x03\x04 nor this"):
        reproduction.images_path(tmp_path, "minigan", 1, 5, 9).write_bytes(content)
        with pytest.raises(UserError, match="damaged"):
            reproduction.scored(tmp_path, [1], 5, 9, None)
    np.savez(
        reproduction.images_path(tmp_path, "minigan", 1, 5, 9),
        images=np.zeros((3, 28, 28)),
        source=np.array('{"recipe": "chaudhary2024"}'),
    )
    with pytest.raises(UserError, match="damaged"):
        reproduction.scored(tmp_path, [1], 5, 9, None)

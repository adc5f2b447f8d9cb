"""Causes left out: what the two options change, in captured steps too, and the command that compares them."""

import numpy as np
import pytest
from gpus import on_gpus
from test_gpu_training import assert_captured_equals_eager, make_run, rows_of, saved_and_restored

from minigan import ablate, ablation, data, evaluation, rows
from minigan.errors import UserError
from minigan.tensor import Tensor


def test_without_shuffling_every_epoch_takes_the_images_in_their_order(few_images):
    images = data.load_images(str(few_images))
    batches = data.Batches(images, 4, seed=3, shuffle=False)
    for _ in range(2):
        taken = np.concatenate([batches.batch(max(batches._next, 0)) for _ in range(3)])
        np.testing.assert_array_equal(data.to_pixels(taken[:, 0]), images)


def test_images_that_are_not_normalised_have_pixels_from_0_to_1(few_images):
    real = Tensor(np.linspace(-1, 1, 5, dtype=np.float32).reshape(1, 1, 1, 5))
    plain, raw = (make_run("chaudhary2024", few_images, "cpu", normalise=kept) for kept in (True, False))
    assert plain.as_seen(real) is real
    np.testing.assert_allclose(raw.as_seen(real).data.ravel(), [0, 0.25, 0.5, 0.75, 1])


@on_gpus
@pytest.mark.parametrize("chosen", [{"shuffle": False}, {"normalise": False}])
def test_captured_steps_without_a_cause_equal_eager_ones(gpu, few_images, small_recipes, chosen):
    assert_captured_equals_eager(gpu, 4, "jeganathan2025", few_images, **chosen)


@pytest.mark.parametrize("chosen", [{"shuffle": False}, {"normalise": False}])
def test_a_resumed_run_goes_on_without_the_cause(tmp_path, few_images, small_recipes, chosen):
    whole, half = (make_run("jeganathan2025", few_images, "cpu", **chosen) for _ in range(2))
    usual = make_run("jeganathan2025", few_images, "cpu")
    rows = rows_of(half, 2)
    assert rows + rows_of(saved_and_restored(half, tmp_path, "cpu"), 3) == rows_of(whole, 5) != rows_of(usual, 5)


def test_jumps_are_the_spread_of_steps_of_a_loss():
    calm = [{"loss_d": 1.0, "loss_g": 2.0 + 0.1 * n, "d_real": 0.7, "d_fake": 0.5 - 0.01 * n} for n in range(40)]
    wild = [{"loss_d": 1.0 + (-1) ** n, "loss_g": 2.0, "d_real": 0.5, "d_fake": 0.5} for n in range(40)]
    assert ablation.described(calm)["loss_d"] == 1.0
    assert ablation.described(calm)["loss_g_jumps"] == pytest.approx(0)
    assert ablation.described(wild)["loss_d_jumps"] == pytest.approx(2, rel=0.03)
    assert ablation.described(calm)["lead_of_d"] == pytest.approx(0.2 + 0.345)  # of the last ten
    assert ablation.described(wild)["lead_of_d"] == ablation.described(wild)["imbalance"] == 0
    fooled = ablation.described([row | {"d_fake": row["d_real"] + 0.25} for row in wild])
    assert (fooled["lead_of_d"], fooled["imbalance"]) == (-0.25, 0.25)


def results_of(measure, **seeds):
    """Results as `ablation.results` returns them, of which one number counts."""
    return {name.replace("_", " "): [{measure: value} for value in values] for name, values in seeds.items()}


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        (
            [80, 82, 84],
            "true here\n    Fréchet distance 82 not shuffled, 50 as listed; 95% interval of the difference: +2",
        ),
        ([20, 22, 24], "the reverse is true here\n    Fréchet distance 22 not shuffled"),
        ([30, 50, 72], "not told apart\n"),
        ([80], "not tested (needs --seeds 2 or more)"),
    ],
)
def test_an_interval_beside_zero_decides_on_a_claim(values, answer):
    said = ablation.verdicts(results_of("frechet_distance", as_listed=[48, 50, 52], not_shuffled=values))
    assert f"shuffling the images helps the training: {answer}" in said
    assert "a GPU trains more smoothly than a CPU: not tested (needs --device gpu)" in said


@pytest.mark.parametrize(("values", "answer"), [([0.5, 0.52], "the reverse is true here"), ([0.1, 0.12], "true here")])
def test_a_claim_that_something_falls_is_true_where_it_falls(values, answer):
    said = ablation.verdicts(results_of("imbalance", as_listed=[0.3, 0.32], unequal_rates=values))
    assert f"keep both networks in balance: {answer}" in said


def test_on_a_gpu_the_listing_is_tried_on_the_cpu_too(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(ablation.reproduction, "train_ours", lambda *arguments, options: calls.append(arguments))
    assert ablation.variants("gpu") == [*ablation.variants("cpu"), "on the CPU"]
    for name, device in (("as listed", "gpu"), ("on the CPU", "gpu"), ("as listed", "cpu")):
        ablation.train(tmp_path, name, 0, 3, 20, device, "tf32" if device == "gpu" else "float32")
    on_gpu, on_cpu = ("gpu", "tf32"), ("cpu", "float32")
    assert [call[-2:] for call in calls] == [on_gpu, on_cpu, on_cpu]
    places = [call[0].relative_to(tmp_path).as_posix() for call in calls]
    assert places == ["gpu-tf32/as-listed", "cpu/as-listed", "cpu/as-listed"]


def test_runs_are_compared_over_the_steps_they_share(tmp_path, capsys):
    for name, steps, jump in (("calm", 40, 0.1), ("wild", 80, 1.0)):
        lines = [",".join(rows.STEP_COLUMNS)]
        lines += [f"{n},1,{1 + jump * (-1) ** n},{2 if n <= 40 else 9},0.5,0.25,1" for n in range(1, steps + 1)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text("\n".join(lines) + "\n")
    assert ablate.main(["--compare", str(tmp_path / "calm"), str(tmp_path / "wild")]) == 0
    headings, calm, wild = capsys.readouterr().out.splitlines()
    assert "D's lead" in headings and "Fréchet" not in headings
    assert calm.split()[1:] == ["1.000", "0.199", "2.000", "0.000", "0.250"]
    assert [float(cell) for cell in wild.split()[1:]] == pytest.approx([1, 1.988, 2, 0, 0.25], abs=0.01)
    with pytest.raises(UserError, match="none is no run's folder"):
        ablate.main(["--compare", str(tmp_path / "none")])
    with pytest.raises(UserError, match="--out is missing"):
        ablate.main([])


def test_a_single_step_is_refused(tmp_path):
    with pytest.raises(UserError, match="--steps 1: .* two steps or more"):
        ablate.main(["--out", str(tmp_path), "--steps", "1"])


def test_the_command_compares_the_variants(tmp_path, small_dataset, small_recipes, monkeypatch, capsys):
    measured = evaluation.Reference  # against few images, for speed
    monkeypatch.setattr(evaluation, "Reference", lambda dataset, *others: measured(str(small_dataset), *others))
    arguments = ["--out", str(tmp_path), "--steps", "3", "--seeds", "1", "--count", "20", "--device", "cpu"]
    assert ablate.main(arguments) == 0
    printed = capsys.readouterr().out
    for variant in ablation.variants("cpu"):
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{variant:18} "))
        assert len(line.split()) >= 7
    assert printed.count("jeganathan2025 on the CPU") == len(ablation.variants("cpu"))
    assert "shuffling the images helps the training: not tested (needs --seeds 2 or more)" in printed
    assert ablate.main(arguments) == 0
    assert "jeganathan2025 on the CPU" not in capsys.readouterr().out

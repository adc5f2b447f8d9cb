"""Scores of images beside real ones and noise, and the command that prints them."""

import json
import math
import os

import numpy as np
import pytest
from conftest import assert_refused, run_command, write_idx

from minigan import checkpoint, data, evaluate, evaluation, judge, metrics, recipes, sampling, settings, training
from minigan.errors import UserError


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_dataset):
    """The folder of a short run that kept an average of the generator's weights."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    process = run_command(
        "minigan.train", "--dataset", small_dataset, "--batch-size", 8, "--steps", 2, "--ema", 0.9, "--out", folder,
        "--device", "cpu", "--quiet",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return folder


@pytest.fixture(scope="module")
def medium_dataset(tmp_path_factory):
    """A folder with the first 1,500 training and 300 test images of MNIST."""
    folder = tmp_path_factory.mktemp("medium")
    for split, count in (("train", 1500), ("t10k", 300)):
        write_idx(folder / f"{split}-images-idx3-ubyte", data.load_images("mnist", (split,))[:count])
    return folder


@pytest.fixture(scope="module")
def reference(medium_dataset):
    return evaluation.Reference(medium_dataset)


@pytest.fixture
def array(tmp_path):
    """The path of twelve digits as an array."""
    np.save(tmp_path / "digits.npy", data.load_images("mnist", ("t10k",))[:12])
    return tmp_path / "digits.npy"


def command(capsys, *arguments):
    """What the command prints."""
    assert evaluate.main([*map(str, arguments), "--device", "cpu"]) == 0
    return capsys.readouterr().out


def words(printed):
    """What was printed, as one line."""
    return " ".join(printed.split())


def assert_whole(result, count):
    """Every score of every row is a number within its interval, and the shares are shares."""
    assert result["format"] == 1 and result["count"] == count and set(result["judge"]) == {"version", "sha256"}
    assert list(result["rows"]) == list(result["classes"]) == ["samples", "real", "noise"]
    for row in result["rows"].values():
        assert list(row) == list(evaluation.METRICS)
        for cell in row.values():
            assert 0 <= cell["low"] <= cell["value"] <= cell["high"] < math.inf
    for shares in result["classes"].values():
        assert len(shares) == 10 and sum(shares) == pytest.approx(1)


def test_real_images_score_as_real_ones_and_noise_as_noise(reference):
    images = data.load_images("mnist", ("t10k",))[1000:1300]
    result = evaluation.evaluate(reference, images, {"file": "x.npy"})
    assert_whole(result, 300)
    samples, real, noise = ({m: c["value"] for m, c in row.items()} for row in result["rows"].values())
    for row in (samples, real):
        assert row["inception_score"] > 7 and row["precision"] > 0.6 and row["recall"] > 0.6
        assert row["density"] > 0.6 and row["class_kl"] < 0.2 and 3.5 < row["nearest_distance"] < 7
        assert row["frechet_distance"] < 0.1 * noise["frechet_distance"]
    assert noise["precision"] < 0.05 and noise["recall"] < 0.05 and noise["density"] < 0.05
    assert noise["inception_score"] < 2 and noise["nearest_distance"] > 12


def test_the_reference_is_judged_once_and_progress_comes_to_its_total(small_dataset, monkeypatch):
    judged, done = [], []
    embed = judge.embed
    monkeypatch.setattr(judge, "embed", lambda j, images, *rest, **more: judged.append(len(images)) or embed(j, images, *rest, **more))  # noqa: E501  # fmt: skip
    reference = evaluation.Reference(small_dataset)
    images = data.load_images("mnist", ("t10k",))[400:450]
    for judged_now in (64 + 50 + 16 + 50, 50):
        units = reference.units(50)
        first = evaluation.evaluate(reference, images, {}, 7, progress=done.append)
        assert sum(judged) == judged_now
        if judged_now > 50:
            assert sum(done) == pytest.approx(units)
        judged.clear()
    assert evaluation.evaluate(reference, images, {}, 7) == first
    noise = [reference.noise(50, seed)[0]["nearest_distance"].value for seed in (7, 8)]
    assert noise[0] != noise[1]


def test_images_that_were_trained_on_are_near_and_a_real_row_that_was_leaves_itself_out(reference):
    train, test = (reference.images[split] for split in ("train", "t10k"))
    copies, _ = reference.score(train[:20])
    assert copies["nearest_distance"] == (0, 0, 0)
    both = np.concatenate([train, test]).reshape(-1, 784) / np.float32(255)
    rows = (
        reference.real(300, 5, ("train", "t10k"))[0]["nearest_distance"],
        reference.real(300, 5)[0]["nearest_distance"],
    )
    pixels = both[1500:]
    expected = []
    for others in (both, both[:1500]):
        distances = np.sqrt(((pixels[:40, None].astype(float) - others) ** 2).sum(2))
        distances[distances == 0] = np.inf
        expected.append(distances.min(1))
    several = metrics.nearest_distances(pixels[:40], both, np.arange(1500, 1540))
    np.testing.assert_allclose(several, expected[0], rtol=1e-6)
    whole = metrics.nearest_distances(pixels, both, np.arange(1500, 1800)).mean()
    assert rows[0].value == pytest.approx(whole) and 0 < rows[0].value < rows[1].value
    assert rows[1].value == pytest.approx(metrics.nearest_distances(pixels, both[:1500]).mean())


def test_identical_images_and_the_fewest_images_have_scores(reference):
    same = np.repeat(reference.images["train"][:1], 30, 0)
    result = evaluation.evaluate(reference, same, {})
    assert_whole(result, 30)
    row = {m: c["value"] for m, c in result["rows"]["samples"].items()}
    assert row["inception_score"] == pytest.approx(1) and row["precision"] == 1 and row["recall"] < 0.01
    said = " ".join(evaluation.sentences(result))
    assert "mode collapse" in said and "memorisation" in said and "Missing classes: 1, 2, 3, 4, 6" in said
    assert_whole(evaluation.evaluate(reference, np.zeros((6, 28, 28), np.uint8), {}), 6)
    for count in (0, 1, 5, 100_001):
        with pytest.raises(UserError, match="6 to 100,000"):
            reference.score(np.zeros((count, 28, 28), np.uint8))


def test_a_class_that_no_training_image_has_makes_no_score_infinite(tmp_path):
    images, labels = data.load_images(), data.load_labels()
    for split, count in (("train", 20), ("t10k", 10)):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte", images[labels == 1][:count])
    result = evaluation.evaluate(evaluation.Reference(tmp_path), images[labels == 0][:10], {})
    assert_whole(result, 10)
    assert result["rows"]["samples"]["class_kl"]["value"] > 2 > 0.5 > result["rows"]["real"]["class_kl"]["value"]


def test_sentences_say_what_is_missing_and_what_is_rare(reference):
    images = data.load_images("mnist", ("t10k",))[300:400]
    result = evaluation.evaluate(reference, images, {})
    result["dataset"] = "mnist"
    result["classes"]["real"] = [0.1] * 10
    result["classes"]["samples"] = [0.1] * 8 + [0.15, 0.05]
    said = evaluation.sentences(result)
    assert said[1] == "No digit is missing; the most frequent is 8 (15%), the least 9 (5%)."
    assert len(said) == 3 and "of at most 10 (real digits: " in said[0]
    result["classes"]["samples"] = [0.0, 0.3, 0.0, 0.01, 0.29, 0.1, 0.1, 0.1, 0.09, 0.01]
    assert evaluation.sentences(result)[1] == "Missing digits: 0, 2; rare digits: 3, 9; the most frequent is 1 (30%)."
    result["classes"]["real"] = result["classes"]["samples"]
    assert "100 images are too few to say whether a digit is missing" in evaluation.sentences(result)[1]


def test_images_near_those_trained_on_are_called_copies_unless_their_class_explains_it(reference):
    result = evaluation.evaluate(reference, data.load_images("mnist", ("t10k",))[300:400], {})
    samples, real = (result["rows"][row] for row in ("samples", "real"))
    samples["nearest_distance"]["value"] = 0.5 * real["nearest_distance"]["value"]
    for kl, called_copies in ((0.1, True), (2.0, False)):  # ones are near to each other, whoever drew them
        samples["class_kl"]["value"] = kl
        assert ("a sign of memorisation" in " ".join(evaluation.sentences(result))) == called_copies


def test_the_scores_of_a_run_are_printed_and_kept(run, capsys):
    result = json.loads(command(capsys, run, "--count", 12, "--seed", 3, "--json"))
    assert_whole(result, 12)
    trained_on = {"images_sha256": result["images_sha256"]}
    assert result["source"] == {"recipe": "chaudhary2024", "step": 2, "ema": True, **trained_on} and result["seed"] == 3
    assert result["judge"]["sha256"] == judge.load().sha256 and result["trained_on"] == ["train"]
    assert json.loads((run / "scores.json").read_text()) == result
    other = json.loads(command(capsys, run / "checkpoint.pkl", "--count", 12, "--seed", 3, "--no-ema", "--json"))
    assert not other["source"]["ema"] and other["rows"]["samples"] != result["rows"]["samples"]
    assert other["rows"]["real"] == result["rows"]["real"]
    assert json.loads((run / "scores.json").read_text()) == other
    lines = command(capsys, run, "--count", 12).splitlines()
    for part in ("samples (12)", "real (12)", "noise (12)", "Fréchet distance", "Inception Score", "precision", "recall",
                  "density", "coverage", "KL of", "nearest image", " to ", "64 training images", "95 %"):  # fmt: skip
        assert part in " ".join(lines)
    assert max(map(len, lines)) <= 140


def test_scores_against_images_that_a_run_was_not_trained_on_are_not_kept(run, tmp_path, capsys):
    images = data.load_images("mnist", ("t10k",))
    for split, part in (("train", images[:20]), ("t10k", images[20:30])):
        write_idx(tmp_path / f"{split}-images-idx3-ubyte", part)
    before = command(capsys, run, "--count", 12) and (run / "scores.json").read_text()
    printed = words(command(capsys, run, "--count", 12, "--dataset", tmp_path))
    assert f"all 20 images of {tmp_path}" in printed and "was trained on others" in printed
    assert "Kept in the run's" not in printed and (run / "scores.json").read_text() == before


def test_the_bar_is_told_of_all_images_that_are_drawn(run):
    generator, recipe = sampling.load_generator(run / "checkpoint.pkl")
    told = []
    sampling.draw(generator, recipe.latent_shape, sampling.LATENTS_A_DRAW + 5, 0, progress=told.append)
    assert told == [sampling.LATENTS_A_DRAW, 5]


def test_quiet_leaves_the_caveat_to_those_who_listen(array, small_dataset, capsys):
    for quiet in ([], ["--quiet"]):
        assert evaluate.main([str(array), "--dataset", str(small_dataset), "--device", "cpu", "--json", *quiet]) == 0
        said = capsys.readouterr()
        assert ("has learnt" in said.err) == (not quiet) and json.loads(said.out)


def test_images_in_a_file_are_scored(array, small_dataset, tmp_path, capsys):
    arguments = [array, "--dataset", small_dataset]
    result = json.loads(command(capsys, *arguments, "--json"))
    assert_whole(result, 12)
    assert result["source"] == {"file": "digits.npy"} and result["dataset"] == str(small_dataset)
    assert_whole(json.loads(command(capsys, *arguments, "--count", 8, "--json")), 8)
    assert not list(array.parent.glob("scores*"))
    printed = words(command(capsys, *arguments))
    assert "is not known" in printed and "The judge has learnt MNIST's digits" in printed
    shipped = judge.load()
    other = tmp_path / "judge.npz"
    other.write_bytes(judge.file_content(shipped, shipped.settings, test_accuracy=0.5))
    assert "has learnt" not in words(command(capsys, *arguments, "--judge", other))


def test_a_choice_among_more_images_is_of_all_of_them(tmp_path, small_dataset, capsys):
    train = data.load_images()
    digits = data.load_labels()
    ordered = np.concatenate([train[digits == digit][:20] for digit in range(10)])
    np.save(tmp_path / "ordered.npy", ordered)
    result = json.loads(command(capsys, tmp_path / "ordered.npy", "--dataset", small_dataset, "--count", 60, "--json"))
    assert min(result["classes"]["samples"]) > 0


def test_a_recipe_that_trains_on_the_test_images_is_told_so(tmp_path, small_dataset, small_recipes, capsys):
    chosen = settings.default_settings(
        recipes.RECIPES["jeganathan2025"], dataset=str(small_dataset), steps=1, batch_size=8
    )
    checkpoint.save(tmp_path / "checkpoint.pkl", training.Run(chosen).state())
    printed = words(command(capsys, tmp_path, "--count", 10))
    assert "jeganathan2025 trains on the test images, too" in printed and "all 80 images trained on" in printed
    assert not (tmp_path / "scores.json").exists()  # no run's folder


def saved(array):
    return lambda path: np.save(path, array, allow_pickle=True)


def truncated(path):
    np.save(path, np.zeros((9, 28, 28), np.uint8))
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("write, words", [
    (saved(np.zeros((9, 28, 28), np.float32)), "float32 (9, 28, 28): images must be a uint8 array (N, 28, 28)"),
    (saved(np.zeros((9, 784), np.uint8)), "uint8 (9, 784)"),
    (saved(np.zeros((9, 1, 28, 28), np.uint8)), "uint8 (9, 1, 28, 28)"),
    (saved(np.array(3, np.uint8)), "uint8 ()"),
    (saved(np.array([{}], object)), "no array"),
    (saved(np.zeros((0, 28, 28), np.uint8)), "holds 0 images: the scores need 6"),
    (saved(np.zeros((5, 28, 28), np.uint8)), "holds 5 images: the scores need 6"),
    (saved(np.zeros((11, 28, 28), np.uint8)), "holds 11 images: --count 12"),
    (truncated, "no array"),
    (lambda path: path.write_bytes(b"\x93NUMPY\x01\0\xff\xff{"), "no array"),
    (lambda path: path.write_bytes(b""), "no array"),
    (lambda path: os.mkfifo(path), "not a file"),
    (lambda path: None, "cannot read"),
])  # fmt: skip
def test_files_that_hold_no_images_are_refused(tmp_path, write, words):
    path = tmp_path / "x.npy"
    write(path)
    arguments = [str(path), "--device", "cpu", *(["--count", "12"] if "12" in words else [])]
    with pytest.raises(UserError) as error:
        evaluate.main(arguments)
    assert words in str(error.value) and len(str(error.value).splitlines()) == 1


def test_what_else_is_refused(array, run, small_dataset, few_images, tmp_path):
    for arguments, words in (
        ([array, "--count", 5], "6 to 100,000"),
        ([array, "--count", 2**31 - 1], "6 to 100,000"),
        ([array, "--ema"], "for a checkpoint"),
        ([array, "--dataset", "/nowhere"], "no such folder"),
        ([array, "--dataset", few_images], "4 t10k images"),
        ([array, "--judge", array], "judge"),
        ([run / "config.json"], "no checkpoint"),
        ([tmp_path / "nowhere"], "cannot read"),
    ):
        with pytest.raises(UserError, match=words):
            evaluate.main([*map(str, arguments), "--device", "cpu"])
    assert_refused(run_command("minigan.evaluate", array, "--count", 0), "--count")


def test_a_checkpoint_without_its_step_is_damaged(run, tmp_path):
    state = checkpoint.load(run / "checkpoint.pkl")
    for step in ("many", -1, None):
        checkpoint.save(tmp_path / "checkpoint.pkl", {**state, "step": step})
        with pytest.raises(UserError, match="damaged"):
            evaluate.main([str(tmp_path), "--count", "10", "--device", "cpu"])


def test_help_explains_every_option():
    explained = evaluate.parser().format_help()
    for option in "count seed dataset judge ema no-ema device json".split():
        assert f"--{option}" in explained


def test_scores_that_cannot_be_kept_are_printed_first(run, capsys, monkeypatch):
    def refuse(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(evaluate.files, "write_atomically", refuse)
    with pytest.raises(UserError, match="cannot be kept in .*No space left"):
        evaluate.main([str(run), "--count", "10", "--device", "cpu"])
    assert "Inception Score" in capsys.readouterr().out

"""The commands as a user runs them: what they leave, and one clear line for every kind of bad input."""

import csv
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import assert_refused, run_command
from PIL import Image

from minigan.rows import COLUMNS

TRAIN, SAMPLE = "minigan.train", "minigan.sample"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, small_dataset):
    """A finished run of 6 steps."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    process = run_command(
        TRAIN, "--dataset", small_dataset, "--batch-size", 8, "--steps", 6, "--sample-every", 2, "--out", folder,
        "--device", "cpu",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return folder, process


def test_a_run_leaves_the_whole_folder(finished):
    folder, process = finished
    assert sorted(p.name for p in folder.iterdir()) == [
        "checkpoint.1.pkl", "checkpoint.pkl", "config.json", "evolution.gif", "losses.png", "metrics.csv", "report.html", "samples"
    ]  # fmt: skip
    assert sorted(p.name for p in (folder / "samples").iterdir()) == [f"step_{n:06d}.png" for n in (2, 4, 6)]
    with open(folder / "metrics.csv") as rows:
        rows = list(csv.reader(rows))
    assert rows[0] == list(COLUMNS)
    assert [row[0] for row in rows[1:]] == list("123456")
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"] == "chaudhary2024" and config["environment"]["numpy"] == np.__version__
    assert Image.open(folder / "evolution.gif").n_frames == 3
    assert str(folder) in process.stdout and "minigan.sample" in process.stdout
    assert "loss D" in process.stderr and "images/s" in process.stderr


def test_quiet_is_quiet(tmp_path, small_dataset):
    process = run_command(TRAIN, "--dataset", small_dataset, "--steps", 1, "--out", tmp_path / "r", "--quiet")
    assert process.returncode == 0 and process.stdout == "" and "step" not in process.stderr


def test_samples_as_picture_and_as_array(finished, tmp_path):
    folder, _ = finished
    for count in (5, 70):
        assert (
            run_command(
                SAMPLE, folder / "checkpoint.pkl", "--count", count, "--out", tmp_path / f"{count}.npy"
            ).returncode
            == 0
        )
    few, many = np.load(tmp_path / "5.npy"), np.load(tmp_path / "70.npy")
    assert few.dtype == np.uint8 and few.shape == (5, 28, 28) and many.shape == (70, 28, 28)
    np.testing.assert_array_equal(few, many[:5])
    assert few.std() > 1
    assert run_command(SAMPLE, folder, "--seed", 1, "--out", tmp_path / "grid.png").returncode == 0
    assert Image.open(tmp_path / "grid.png").size == (484, 484)


def test_a_stopped_run_says_how_to_resume_and_does(tmp_path, small_dataset):
    out = tmp_path / "r"
    process = subprocess.Popen(
        [sys.executable, "-m", TRAIN, "--dataset", small_dataset, "--steps", "2000", "--out", out],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    while not (out / "checkpoint.pkl").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and f"--resume {out}/checkpoint.pkl" in stdout
    with open(out / "metrics.csv") as rows:
        steps = sum(1 for _ in rows) - 1
    assert 0 < steps < 2000
    process = run_command(TRAIN, "--resume", out / "checkpoint.pkl", "--steps", steps + 2)
    assert process.returncode == 0, process.stderr
    with open(out / "metrics.csv") as rows:
        assert sum(1 for _ in rows) - 1 == steps + 2


@pytest.mark.parametrize("arguments, words", [
    (["--recipe", "nonsense"], ["nonsense", "chaudhary2024"]),
    (["--epochs", "-1"], ["--epochs", "'-1'"]),
    (["--steps", "0"], ["--steps"]),
    (["--batch-size", "1"], ["--batch-size"]),
    (["--batch-size", "100000"], ["--batch-size"]),
    (["--lr-g", "nan"], ["--lr-g"]),
    (["--lr-d", "-0.1"], ["--lr-d"]),
    (["--d-steps", "2:x"], ["--d-steps"]),
    (["--seed", "-5"], ["--seed"]),
    (["--threads", "9999"], ["--threads"]),
    (["--loss", "other"], ["--loss"]),
    (["--dataset", "/nowhere"], ["/nowhere", "no such folder"]),
    (["--device", "gpu"], ["--device gpu", "--device cpu"]),
    (["--resume"], ["--resume", "no checkpoint"]),
    (["--resume", "missing.pkl"], ["--resume", "missing.pkl"]),
    (["--resume", ""], ["--resume", "empty"]),
    (["--dataset", ""], ["--dataset", "empty"]),
    (["--dataset", "n" * 300], ["n" * 300]),
    (["--step", "3"], ["--step"]),
])  # fmt: skip
def test_bad_arguments_to_train(tmp_path, arguments, words):
    assert_refused(run_command(TRAIN, *arguments, "--out", tmp_path / "r"), *words)
    assert not (tmp_path / "r").exists()


def test_an_empty_dataset_folder_is_named(tmp_path):
    assert_refused(run_command(TRAIN, "--dataset", tmp_path, "--out", tmp_path / "r"), "train-images-idx3-ubyte")


def snapshot(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_that_holds_a_run_is_not_touched(finished, small_dataset):
    folder, _ = finished
    before = snapshot(folder)
    assert_refused(run_command(TRAIN, "--dataset", small_dataset, "--steps", 1, "--out", folder), "already holds a run")
    assert_refused(run_command(TRAIN, "--resume", folder), "complete after 6 steps", "--steps")
    assert_refused(run_command(TRAIN, "--resume", folder, "--recipe", "jeganathan2025"), "--recipe", "chaudhary2024")
    assert_refused(run_command(TRAIN, "--resume", folder, "--steps", 9, "--seed", 5), "--seed")
    assert_refused(run_command(TRAIN, "--resume", folder, "--steps", 9, "--batch-size", 5), "--batch-size")
    assert snapshot(folder) == before


@pytest.mark.parametrize("damage", ["truncated", "hostile"])
def test_a_broken_checkpoint_is_refused(finished, tmp_path, damage):
    whole = (finished[0] / "checkpoint.pkl").read_bytes()
    path = tmp_path / "checkpoint.pkl"
    path.write_bytes(whole[:-100] if damage == "truncated" else pickle.dumps(os.getcwd, 0))
    word = "truncated" if damage == "truncated" else "refused"
    assert_refused(run_command(TRAIN, "--resume", path), word)
    assert_refused(run_command(SAMPLE, path, "--out", tmp_path / "x.png"), word)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pkl"]


def test_a_moved_data_folder_is_followed_and_other_images_are_refused(tmp_path, finished, small_dataset):
    run, moved = tmp_path / "run", tmp_path / "moved"
    shutil.copytree(finished[0], run)
    shutil.copytree(small_dataset, moved)
    assert_refused(run_command(TRAIN, "--resume", run, "--steps", 9, "--dataset", "mnist"), "other images")
    process = run_command(TRAIN, "--resume", run, "--steps", 9, "--dataset", moved)
    assert process.returncode == 0, process.stderr


def test_a_run_goes_on_without_the_rows_that_are_damaged(tmp_path, finished):
    lines = (finished[0] / "metrics.csv").read_text().splitlines(keepends=True)
    for number, (damaged, left) in enumerate(
        (
            (lines[:2] + lines[3:], "13456"),
            (lines[:3], "12"),
            ([*lines[:3], "3,1,x,y,z,w,v\n", *lines[4:]], "12456"),
            ([b"\xff" * 40], ""),
            (None, ""),
        )
    ):
        run = tmp_path / str(number)
        shutil.copytree(finished[0], run)
        (run / "metrics.csv").unlink()
        if damaged:
            content = b"".join(x if isinstance(x, bytes) else x.encode() for x in damaged)
            (run / "metrics.csv").write_bytes(content)
        process = run_command(TRAIN, "--resume", run, "--steps", 8, "--quiet")
        assert process.returncode == 0 and process.stderr.count("\n") == 1, process.stderr
        assert f"lacks the rows of {6 - len(left)} steps" in process.stderr
        kept = [line.partition(",")[0] for line in (run / "metrics.csv").read_text().splitlines()[1:]]
        assert "".join(kept) == left + "78"
        if damaged:
            assert (run / "metrics.damaged.csv").read_bytes() == content
        assert run_command("minigan.doctor", run).returncode == 0


def test_pictures_that_a_kill_prevented_are_drawn_on_resume(tmp_path, finished):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    (run / "losses.png").unlink()
    (run / "samples" / "step_00a10.png").write_text("a stray file")
    (run / "samples" / "step_000001.png").write_text("no picture")
    assert_refused(run_command(TRAIN, "--resume", run), "complete")
    assert (run / "losses.png").exists()


def test_a_folder_that_cannot_be_written(tmp_path, small_dataset):
    (tmp_path / "file").write_text("not a folder")
    process = run_command(TRAIN, "--dataset", small_dataset, "--steps", 1, "--out", tmp_path / "file" / "run")
    assert_refused(process, "cannot be written")
    assert (tmp_path / "file").read_text() == "not a folder"


def test_bad_arguments_to_sample(finished, tmp_path):
    checkpoint = finished[0] / "checkpoint.pkl"
    assert_refused(run_command(SAMPLE, checkpoint, "--out", tmp_path / "x.jpg"), ".png", ".npy")
    assert_refused(run_command(SAMPLE, checkpoint, "--count", "-3", "--out", tmp_path / "x.png"), "--count")
    assert_refused(run_command(SAMPLE, tmp_path, "--out", tmp_path / "x.png"), "cannot read")
    assert_refused(run_command(SAMPLE, checkpoint, "--out", tmp_path / "no" / "x.png"), "cannot be written")
    assert_refused(run_command(SAMPLE, checkpoint, "--device", "gpu", "--out", tmp_path / "x.png"), "--device gpu")


OPTIONS = {
    TRAIN: "recipe device epochs steps batch-size lr-g lr-d d-steps loss seed dataset out resume checkpoint-every "
    "checkpoint-steps sample-every threads quiet",
    SAMPLE: "count seed batch-size device out",
    "minigan.bench": "recipe batch-size against rounds threads json",
}


@pytest.mark.parametrize("module", OPTIONS)
def test_help_explains_every_option(module):
    process = run_command(module, "--help")
    assert process.returncode == 0
    explained = process.stdout[process.stdout.index("options:") :]
    for option in OPTIONS[module].split():
        assert f"  --{option}" in explained


def test_importing_minigan_is_quick():
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import minigan, minigan.tensor, minigan.nn, minigan.recipes"],
        capture_output=True, text=True,
    )  # fmt: skip
    for slow in ("numba", "matplotlib", "torch", "cupy"):
        assert f" {slow}\n" not in process.stderr


def test_losses_that_are_no_numbers_end_the_run_and_keep_the_last_checkpoint(tmp_path, small_dataset):
    rates = ["--lr-g", "1e30", "--lr-d", "1e30"]
    process = run_command(TRAIN, "--dataset", small_dataset, *rates, "--quiet", "--out", tmp_path / "r")
    assert_refused(
        process, "step 1: C(", "in discriminator.2 (Conv2d(", "made the first number that is not finite", "--lr-g"
    )
    assert run_command(SAMPLE, tmp_path / "r", "--out", tmp_path / "x.png").returncode == 0


def test_a_reader_that_goes_away_does_not_end_the_training(tmp_path, small_dataset):
    command = f"{sys.executable} -m {TRAIN} --dataset {small_dataset} --steps 5 --out {tmp_path / 'r'} 2>&1 | head -c 1"
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, timeout=60)
    process = run_command(TRAIN, "--resume", tmp_path / "r")
    assert_refused(process, "complete after 5 steps")

"""Files are replaced whole, a folder has one writer, a damaged checkpoint is passed over (faults.py tries much more)."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import assert_refused, run_command
from watched_writes import Writes

import minigan
from minigan import checkpoint, environment, files, plots
from minigan.errors import UserError

TRAIN = "minigan.train"


def fail():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_whole_whatever_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with Writes() as writes:
        files.write_atomically(path, b"new content")
    assert writes.names == ["write", "flush", "fsync", "replace", "fsync"]
    for last, name in enumerate(writes.names[:4], 1):
        path.write_bytes(b"old")
        with Writes(last, fail), pytest.raises(OSError):
            files.write_atomically(path, b"new content")
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path], name


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    with files.locked(tmp_path):
        with pytest.raises(UserError, match=f"process {os.getpid()} is training in"):
            with files.locked(tmp_path):
                pass
    with files.locked(tmp_path):  # free again
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_replaced_is_not_written_over(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with files.locked(folder) as check:
        check()
        folder.rename(tmp_path / "moved")
        with pytest.raises(UserError, match="moved, removed or replaced"):
            check()
        folder.mkdir()
        with files.locked(folder):
            with pytest.raises(UserError, match="moved, removed or replaced"):
                check()
    assert not list(folder.iterdir())


def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f"a.{gone.pid}.tmp", f"a.{os.getppid()}.tmp", f"b.{os.getpid()}.tmp", "mine.tmp"):
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{os.getppid()}.tmp", "mine.tmp"}


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_dataset):
    folder = tmp_path_factory.mktemp("kept") / "run"
    command = ["--dataset", small_dataset, "--steps", 4, "--checkpoint-steps", 1, "--keep", 3, "--out", folder]
    assert run_command(TRAIN, *command).returncode == 0
    return folder


def test_a_run_goes_on_from_the_newest_good_checkpoint(run, tmp_path, small_dataset):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    newest = folder / "checkpoint.pkl"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    process = run_command("minigan.sample", folder, "--count", "4", "--out", tmp_path / "grid.png")
    assert process.returncode == 0 and "checkpoint.1.pkl" in process.stderr and "checksum" in process.stderr
    process = run_command(TRAIN, "--resume", folder, "--steps", "5", "--quiet")
    assert process.returncode == 0 and "taking the one kept from before it" in process.stderr
    assert (folder / "checkpoint.damaged.pkl").read_bytes() == content
    ages = [0, *checkpoint.kept(newest)]
    assert [checkpoint.load(checkpoint.older(newest, age))["step"] for age in ages] == [5, 4, 3]


def test_where_no_checkpoint_is_good_the_newest_is_named_and_nothing_changed(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for path in folder.glob("checkpoint*"):
        path.write_bytes(path.read_bytes()[:-1])
    before = {path: path.read_bytes() for path in folder.glob("*.*")}
    assert_refused(run_command(TRAIN, "--resume", folder, "--steps", "5"), f"{folder / 'checkpoint.pkl'} is truncated")
    assert before == {path: path.read_bytes() for path in folder.glob("*.*")}


def test_a_second_training_in_the_folder_is_refused(run):
    with files.locked(run):
        assert_refused(run_command(TRAIN, "--resume", run, "--steps", "5"), "is training in", "--out")
        assert_refused(run_command(TRAIN, "--out", run), "is training in", "--out")


def test_a_picture_that_is_no_picture_is_left_out_of_the_animation(run, tmp_path):
    (picture,) = (run / "samples").glob("*4.png")
    content = picture.read_bytes()
    half, flipped = tmp_path / "half.png", tmp_path / "flipped.png"
    half.write_bytes(content[:300])
    flipped.write_bytes(content[:11] + bytes([content[11] ^ 1]) + content[12:])
    plots.save_animation(tmp_path / "a.gif", [half, flipped, picture])
    assert plots.Image.open(tmp_path / "a.gif").n_frames == 1


def test_the_config_says_what_the_run_ran_on(run):
    found = json.loads((run / "config.json").read_text())["environment"]
    assert found["cpu"] and found["threads"] >= 1 and found["device"] == "cpu"
    assert found["git_commit"] == environment.git_commit()
    assert {"minigan", "python", "numpy", "numba", "llvmlite", "system", "machine", "cores"} <= found.keys()


def git(folder, *words):
    names = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", folder, *names, *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_the_commit_is_that_of_the_source_and_of_no_other_repository(tmp_path):
    source = tmp_path / "minigan"
    source.mkdir()
    for name in ("__init__.py", "backend.py", "errors.py", "environment.py"):
        shutil.copy(Path(minigan.__file__).parent / name, source)
    (source / "backend.py").write_text("")

    def told():
        command = [sys.executable, "-c", "from minigan import environment; print(environment.git_commit())"]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    assert told() == "None"
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "somebody else's")
    assert told() == "None"  # an installed copy in somebody's repository
    git(tmp_path, "add", "minigan")
    git(tmp_path, "commit", "-q", "-m", "the source")
    assert told() == git(tmp_path, "rev-parse", "HEAD")
    (source / "backend.py").write_text("changed = True\n")
    assert told() == git(tmp_path, "rev-parse", "HEAD") + "-dirty"

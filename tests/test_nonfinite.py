"""Numbers that are not finite: planted faults of every kind are named, what is on the disk stays good, steps are skipped."""

import contextlib
import dataclasses
import math
import re

import numpy as np
import pytest
from gpus import emulated
from test_training import arrays, assert_same_run, resumed, trained

from minigan import (
    backend,
    checkpoint,
    conv,
    doctor,
    functions,
    loop,
    nonfinite,
    nonfinite_cause,
    recipes,
    rows,
    run_folder,
    tensor,
    training,
)
from minigan import skipping as skipping_module
from minigan.errors import UserError
from minigan.kernels.cuda import convolution
from minigan.kernels.launch import launch
from minigan.optim import LossScale
from minigan.settings import FREE_SETTINGS, default_settings, settings_of
from minigan.skipping import Skipping

STEP = 5  # at which faults are planted; checkpoints are those of steps 4 and 8
NAMES = sorted(recipes.RECIPES)


class Fault:
    """A value that appears in arrays at one step, as a kernel gone wrong would write it."""

    def __init__(self, value, step=STEP, times=math.inf):
        self.value, self.step, self.left, self.now = value, step, times, None

    def spoil(self, array):
        """Puts the value into the array, if it is time."""
        if self.now == self.step and self.left > 0:
            self.left -= 1
            array.reshape(-1)[0] = self.value

    def plant(self, monkeypatch, owner, name, which=lambda made: made):
        """In what a method of an op makes; captured steps do it again."""
        original = getattr(owner, name)

        def spoiled(*arguments):
            made = original(*arguments)
            if which(made) is not None:
                launch(self.spoil, which(made))
            return made

        monkeypatch.setattr(owner, name, spoiled)
        self.watch(monkeypatch, lambda run: None)

    def plant_in_parameter(self, monkeypatch):
        """In the generator's first weights, before the step."""
        self.watch(monkeypatch, lambda run: self.spoil(run.players.generator[0].weight.data))

    def watch(self, monkeypatch, before):
        """Learns at which step a run is, and calls before(run) there."""
        original = training.Run.take_steps

        def play(run, count):
            for _ in range(count):
                self.now = run.step + 1
                before(run)
                original(run, 1)
            self.now = None

        monkeypatch.setattr(training.Run, "take_steps", play)


FAULTS = {  # owner, method, value, which of what it makes
    "forward": (tensor.Tanh, "forward", math.inf, lambda made: made),
    "gradient": (functions.BatchNorm, "arrays_vjp", math.nan, lambda made: made[0]),
    "gradient of weights": (conv.G, "forward", math.nan, lambda made: made),
    "overflow of a square": (conv.G, "forward", 1e25, lambda made: made),
    "overflow of a variance": (conv.T, "forward", 1e25, lambda made: made),
}
EXPECTED = [
    ("forward", "chaudhary2024", ["Tanh(float32(4, 1, 28, 28)) in generator.10 (Tanh()) made", "an infinity"]),
    ("forward", "jeganathan2025", ["Tanh(float32(4, 1, 28, 28)) in generator.11 (Tanh()) made", "an infinity"]),
    ("gradient", "chaudhary2024", ["the gradient of BatchNorm(", "in discriminator.6 (Batch", "), of D's loss", "a NaN"]),
    ("gradient", "jeganathan2025", ["the gradient of BatchNorm(", "in generator.8 (Batch", "), of G's loss", "a NaN"]),
    ("gradient of weights", "chaudhary2024", ["the gradient of C(", "in discriminator.8 (Conv2d(16, 1,", "of D's loss"]),
    ("gradient of weights", "jeganathan2025", ["the gradient of T(", "in generator.10 (ConvTranspose2d(", "of G's loss"]),
    ("overflow of a square", "chaudhary2024", ["the step of Adam, in exp_avg_sq of discriminator.", "an infinity"]),
    ("overflow of a square", "jeganathan2025", ["the step of Adam, in exp_avg_sq of generator.", "an infinity"]),
    ("overflow of a variance", "chaudhary2024", ["BatchNorm(", "in generator.1 (BatchNorm2d(16", "an infinity"]),
]  # fmt: skip


def planted(monkeypatch, kind, **when):
    owner, method, value, which = FAULTS[kind]
    fault = Fault(value, **when)
    fault.plant(monkeypatch, owner, method, which)
    return fault


@pytest.fixture(autouse=True)
def few_channels(small_recipes):
    """Both recipes have few channels in every test."""


def make_run(name, dataset, device="cpu", graph=True, **chosen):
    chosen = {"batch_size": 4, "steps": 10, "checkpoint_steps": 4, "sample_every": 3, "probe_every": 0, **chosen}
    chosen["checkpoint_every"] = 1000
    return training.Run(default_settings(recipes.RECIPES[name], dataset=str(dataset), **chosen), device, graph)


def stopped(path, run):
    """The folder that the run leaves, and the line it ends with."""
    with pytest.raises(UserError) as caught:
        trained(path, run)
    line = str(caught.value)
    assert "\n" not in line
    return run_folder.RunFolder(path), line


def numbers(run):
    return dict(arrays(checkpoint.unpack(checkpoint.pack(run.state()))))


def assert_same_bits(a, b, but=()):
    assert a.keys() == b.keys()
    for path, value in a.items():
        if path not in but:
            np.testing.assert_array_equal(value, b[path], err_msg=path)


# --- stopping


@pytest.mark.parametrize("kind, name, words", EXPECTED)
def test_a_planted_fault_is_named_and_what_is_saved_stays_good(tmp_path, few_images, monkeypatch, kind, name, words):
    planted(monkeypatch, kind)
    folder, line = stopped(tmp_path / "run", make_run(name, few_images))
    for word in [f"step {STEP}: ", *words, "the checkpoint of step 4 is kept", "--resume --on-nonfinite skip"]:
        assert word in line, line
    assert checkpoint.load(folder.checkpoint)["step"] == 4
    monkeypatch.undo()


def test_what_does_not_show_in_the_losses_is_found_before_it_is_saved(tmp_path, few_images, monkeypatch):
    planted(monkeypatch, "overflow of a square")
    _, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images))
    assert "(seen in step 8: exp_avg_sq of generator." in line


def test_a_probe_looks_at_all_arrays(tmp_path, few_images, monkeypatch):
    planted(monkeypatch, "overflow of a square")
    _, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images, probe_every=7))
    assert "(seen in step 7: exp_avg_sq of generator." in line


def test_a_gradient_that_is_no_number_in_a_probe_alone_is_traced_there(tmp_path, few_images, monkeypatch):
    original = functions.BatchNorm.arrays_vjp

    def wrong(self, needs, g, out, x, *others):
        made = original(self, needs, g, out, x, *others)
        return (made[0] * np.nan if len(x) == 16 else made[0], *made[1:])  # a probe's batches, all in one

    monkeypatch.setattr(functions.BatchNorm, "arrays_vjp", wrong)
    _, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images, probe_every=5))
    assert "step 5: in the probe of the run's signals after it, the gradient of BatchNorm(float32(16," in line, line
    skipping = make_run("chaudhary2024", few_images, probe_every=5, steps=6, on_nonfinite="skip")
    assert len(rows.read(trained(tmp_path / "skip", skipping).metrics)) == 6  # no step is at fault


def test_a_parameter_that_no_operation_made_infinite_is_named(tmp_path, few_images, monkeypatch):
    Fault(math.inf).plant_in_parameter(monkeypatch)
    _, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images))
    assert f"step {STEP}: generator.0.weight held an infinity before T(" in line and "no operation made that" in line


@pytest.mark.parametrize("kind", ["forward", "overflow of a square"])
def test_a_fault_that_does_not_come_again_is_said_not_to(tmp_path, few_images, monkeypatch, kind):
    planted(monkeypatch, kind, times=1)
    folder, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images))
    assert "but not when the steps since 4 were run again" in line and "memory or the machine" in line
    assert "the checkpoint of step 4 is kept: go on with --resume" in line
    resumed(folder)
    assert_same_run(trained(tmp_path / "whole", make_run("chaudhary2024", few_images)), folder)


def test_a_run_told_to_stop_does_not_look_for_the_cause(tmp_path, few_images, monkeypatch):
    planted(monkeypatch, "forward")
    monkeypatch.setattr(nonfinite_cause, "_first", lambda run, last, interrupted, quiet: None)
    run = make_run("chaudhary2024", few_images)
    folder = run_folder.RunFolder(tmp_path / "run")
    folder.create(run)
    line = nonfinite_cause.stopped(run, folder.checkpoint, 6, "the loss of D is nan", lambda: True, quiet=True)
    assert line.startswith("step 6: the loss of D is nan (") and "was not looked for" in line


@pytest.mark.parametrize("quiet", [False, True])
def test_a_search_that_takes_long_shows_how_far_it_is(tmp_path, few_images, monkeypatch, capsys, quiet):
    planted(monkeypatch, "forward")
    monkeypatch.setattr(nonfinite_cause, "PATIENCE", 0)
    folder = run_folder.RunFolder(tmp_path / "run")
    folder.create(run := make_run("chaudhary2024", few_images))
    with pytest.raises(UserError):
        loop.train(run, folder, quiet)
    assert ("looking for the cause" in capsys.readouterr().err) != quiet


def test_where_the_checkpoint_is_gone_the_step_is_named_at_least(tmp_path, few_images):
    line = nonfinite_cause.stopped(
        make_run("chaudhary2024", few_images), tmp_path / "x", 6, "it is nan", lambda: False, True
    )
    assert line.startswith("step 6: it is nan (what made it so cannot be found out: ")


def test_a_checkpoint_with_a_number_that_is_not_finite_is_refused(tmp_path, few_images):
    run = make_run("chaudhary2024", few_images)
    run.advance()
    state = checkpoint.unpack(checkpoint.pack(run.state()))
    state["optimizer_d"]["state"][2]["exp_avg_sq"].flat[3] = np.inf
    with pytest.raises(UserError, match=r"exp_avg_sq of discriminator\.3\.weight holds an infinity"):
        make_run("chaudhary2024", few_images).restore(state, tmp_path)


# --- without a fault


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "device, precision", [("cpu", "float32"), ("cpu", "fp16"), ("gpu", "float32"), ("gpu", "fp16")]
)
def test_a_healthy_step_raises_no_alarm(few_images, name, device, precision):
    with emulated() if device == "gpu" else contextlib.nullcontext():
        backend.set_precision(precision, device)
        run = make_run(name, few_images, device, graph=False, ema=0.9, d_steps=2)
        if precision == "fp16":
            run.players.scale_d.scale[...] = 2.0**125  # D's gradients overflow, as is usual at the beginning
        same = make_run(name, few_images, device, graph=False, ema=0.9, d_steps=2)
        same.restore(checkpoint.unpack(checkpoint.pack(run.state())), "")
        assert nonfinite_cause.cause(run) is None
        row = same.advance()
        assert nonfinite.in_row(row) is nonfinite.in_arrays(same) is None
        assert_same_bits(numbers(run), numbers(same))
        if precision == "fp16":
            assert same.players.scale_d.state_dict()["scale"] == 2.0**123


# --- skipping


def test_a_step_that_failed_halfway_can_be_put_back_and_taken(few_images, monkeypatch):
    planted(monkeypatch, "forward", step=2, times=1)
    run, other = (make_run("chaudhary2024", few_images, graph=False) for _ in range(2))
    assert run.advance()[:-1] == other.advance()[:-1]
    copy = nonfinite.Copy(run)
    assert "Tanh(" in nonfinite_cause.cause(run)
    copy.put_back()
    assert run.advance()[:-1] == other.advance()[:-1]
    assert_same_bits(numbers(run), numbers(other))


@pytest.mark.parametrize("kind, name, step", [
    ("forward", "chaudhary2024", STEP), ("gradient", "jeganathan2025", STEP), ("overflow of a square", "chaudhary2024", STEP),
    ("gradient", "chaudhary2024", 1),
])  # fmt: skip
def test_a_skipped_step_leaves_the_arrays_as_if_it_had_never_been_taken(few_images, monkeypatch, kind, name, step):
    planted(monkeypatch, kind, step=step)
    run, never = (make_run(name, few_images, ema=0.9) for _ in range(2))
    skipping = Skipping(run)
    for number in range(1, 9):
        skipping.keep()
        row = run.advance()
        wrong = nonfinite.in_row(row) or nonfinite.in_arrays(run)
        if number == step:
            assert wrong and skipping.undo(number, wrong).startswith(f"step {step} was skipped: ")
            never.counts = run.counts
            make_run(name, few_images, ema=0.9).restore(checkpoint.unpack(checkpoint.pack(run.state())), "")
            continue
        assert not wrong
        assert never.advance()[:-1] == row[:-1]
    assert_same_bits(numbers(run), numbers(never))
    assert numbers(run)["/step"] == 8


def test_ten_steps_with_a_skipped_one_are_five_and_five_resumed_to_the_bit(tmp_path, few_images, monkeypatch, capsys):
    planted(monkeypatch, "forward", step=7)
    chosen = {"on_nonfinite": "skip", "sample_every": 100}
    whole = trained(tmp_path / "whole", make_run("chaudhary2024", few_images, **chosen))
    halves = trained(tmp_path / "halves", make_run("chaudhary2024", few_images, **chosen, steps=5))
    resumed(halves, steps=10)
    assert_same_run(whole, halves)
    found = rows.read(whole.metrics)
    assert [row["step"] for row in found if not math.isfinite(row["loss_d"])] == [7]
    (finding,) = doctor.examined(found).findings
    assert (finding.kind, finding.step) == ("not_a_number", 7) and finding.sentence.startswith("Step 7 was skipped")
    page = whole.report.read_text()
    assert "Step 7 was skipped" in page and "Complete." in page and "Broken" not in page
    assert whole.curves.stat().st_size > 10_000


def test_skipped_steps_are_said_at_once_and_counted_at_the_end(tmp_path, few_images, monkeypatch, capsys):
    fault = planted(monkeypatch, "forward")
    monkeypatch.setattr(skipping_module, "TRACED", 1)
    fault.spoil = lambda array: array.fill(math.inf if fault.now in (2, 3, 5) else array.flat[0])
    run = make_run("chaudhary2024", few_images, on_nonfinite="skip", steps=6)
    folder = run_folder.RunFolder(tmp_path / "run")
    folder.create(run)
    loop.train(run, folder)
    said = re.findall("minigan: .*", capsys.readouterr().err)
    assert len(said) == 2, said
    assert "step 2 was skipped: Tanh(" in said[0] and "only counted" in said[0]
    assert said[1] == "minigan: 3 of 6 steps were skipped"


def test_after_many_skipped_steps_in_a_row_the_run_stops(tmp_path, few_images, monkeypatch):
    monkeypatch.setattr(skipping_module, "IN_A_ROW", 4)
    folder, line = stopped(tmp_path / "run", make_run("chaudhary2024", few_images, lr_g=1e30, on_nonfinite="skip"))
    assert line.startswith("step 5 was skipped: BatchNorm(") and "the 3 before it" in line and "--lr-g" in line
    restored = training.Run(settings_of(checkpoint.load(folder.checkpoint), folder.checkpoint))
    restored.restore(checkpoint.load(folder.checkpoint), folder.checkpoint)
    assert len(rows.read(folder.metrics)) == 5


@pytest.mark.parametrize("rule", ["stop", "skip"])
def test_samples_that_spoil_the_running_statistics(tmp_path, few_images, monkeypatch, capsys, rule):
    original = training.Run.samples

    def samples(run):
        drawn = original(run)
        run.players.generator[1].running_var[0] = np.inf
        return drawn

    monkeypatch.setattr(training.Run, "samples", samples)
    run = make_run("chaudhary2024", few_images, steps=5, on_nonfinite=rule)
    if rule == "stop":
        _, line = stopped(tmp_path / "run", run)
        assert "step 3: generator.1.running_var holds an infinity, which no operation of the step made (seen in" in line
    else:
        folder = run_folder.RunFolder(tmp_path / "run")
        folder.create(run)
        loop.train(run, folder)
        assert nonfinite.in_arrays(run) is None and len(rows.read(folder.metrics)) == 5
        assert "the samples of step 3 are not finite" in capsys.readouterr().err


# --- on a GPU


def test_captured_steps_of_a_gpu_are_traced_and_skipped(tmp_path, few_images, monkeypatch):
    Fault(math.inf, step=2).plant_in_parameter(monkeypatch)
    with emulated():
        run = make_run("jeganathan2025", few_images, "gpu", sample_every=100)
        _, line = stopped(tmp_path / "stop", run)
        assert "step 2: generator.0.weight held an infinity before Reshape(" in line and "of step 0" in line, line
        run = make_run("jeganathan2025", few_images, "gpu", sample_every=100, steps=3, on_nonfinite="skip")
        folder = trained(tmp_path / "skip", run)
        assert nonfinite.in_arrays(run) is None
    assert [math.isfinite(row["loss_d"]) for row in rows.read(folder.metrics)] == [True, False, True]


def test_gradients_that_overflow_at_every_scale_stop_the_run(tmp_path, few_images, monkeypatch):
    planted(monkeypatch, "gradient").spoil = lambda array: array.fill(math.nan)
    with emulated():
        backend.set_precision("fp16", "gpu")
        run = make_run("chaudhary2024", few_images, "gpu", graph=False, sample_every=100, checkpoint_steps=3)
        run.players.scale_d.scale[...] = 2 * LossScale.LEAST
        _, line = stopped(tmp_path / "run", run)
    assert (
        "step 2: the gradient of BatchNorm(" in line
        and "(seen in step 3: the gradients of discriminator overflow" in line
    )


def test_the_setting_may_be_changed_on_resume_and_is_checked(tmp_path, few_images):
    folder = trained(tmp_path / "run", make_run("chaudhary2024", few_images, steps=2))
    state = checkpoint.load(folder.checkpoint)
    assert settings_of(state, folder.checkpoint).on_nonfinite == "stop"
    assert "on_nonfinite" in FREE_SETTINGS
    for wrong in ("halt", 1, None):
        state["settings"]["on_nonfinite"] = wrong
        if wrong is None:
            del state["settings"]["on_nonfinite"]  # of before there was the setting
            assert settings_of(state, folder.checkpoint).on_nonfinite == "stop"
        else:
            with pytest.raises(UserError, match="on_nonfinite"):
                settings_of(state, folder.checkpoint)
    assert dataclasses.asdict(make_run("chaudhary2024", few_images).settings)["on_nonfinite"] == "stop"

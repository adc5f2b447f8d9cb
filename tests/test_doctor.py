"""The doctor: each planted failure is named, and as nothing else; what is healthy or does not last raises nothing."""

import dataclasses
import math

import pytest
from conftest import assert_refused, run_command
from test_signals import ByBrightness
from test_training import make_run, trained

from minigan import cli, doctor, nn, recipes, rows, run_folder, signals, train
from minigan.errors import UserError

HEALTHY = dict(
    loss_d=1.0, loss_g=2.0, d_real=0.7, d_fake=0.3, d_accuracy=0.8, d_saturation=0.05, gradient_d=10.0, gradient_g=5.0,
    diversity=1.0, entropy_fixed=2.1, entropy_fresh=2.1, classes_fresh=(7, 7, 7, 7, 6, 6, 6, 6, 6, 6), update_d=5e-3,
    update_g=5e-3,
)  # fmt: skip
D_WINS = dict(d_real=1.0, d_fake=0.0, d_accuracy=1.0, d_saturation=1.0)
G_DEAD = dict(D_WINS, gradient_g=0.0, diversity=0.0, update_g=0.0, entropy_fresh=0.0, classes_fresh=(0,) * 9 + (64,))
FEW = dict(entropy_fresh=0.2, classes_fresh=(0, 60, 0, 0, 0, 0, 0, 0, 4, 0))
FAILURES = {
    "d_wins": (D_WINS, ["D separates", "since step 3,100", "G's gradient is 5", "lower --lr-d", "0.5%"]),
    "d_wins, whose G has no gradient": (
        dict(D_WINS, gradient_g=1.2e-7, diversity=0.2, entropy_fresh=0.0), ["gradient is 1.2e-7", "nothing to learn"],
    ),
    "d_wins, whose G moves little": (dict(D_WINS, update_g=1e-5), ["a higher --lr-g."]),
    "d_wins, at the minimax game": (dict(D_WINS, loss_g=-1e-6, gradient_g=1e-9), ["--loss nonsaturating"]),
    "d_dead": (dict(d_real=0.5, d_fake=0.5, d_accuracy=0.5), ["the same answer", "0.500", "higher --lr-d"]),
    "g_wins": (dict(d_real=0.7, d_fake=0.999, d_accuracy=0.5), ["G fools D", "0.999", "higher --lr-d"]),
    "d_dead, saturated": (
        dict(d_real=1.0, d_fake=1.0, d_accuracy=0.5, d_saturation=1.0, gradient_d=0.0, gradient_g=0.0, diversity=0.1),
        ["the same answer", "lower --lr-d"],
    ),
    "d_dead, unmoved": (dict(update_d=1e-11), ["D does not learn", "1e-11", "higher --lr-d"]),
    "g_dead": (G_DEAD, ["G is dead", "gradient is 0", "--seed"]),
    "g_dead, unmoved": (dict(D_WINS, update_g=1e-11), ["G does not learn", "1e-11", "higher --lr-g", "So D separates"]),
    "collapse": (FEW, ["collapsed", "94% 1, 6% 8", "lower --lr-g"]),
    "collapse, to three kinds": (dict(FEW, entropy_fresh=1.1), ["of few kinds", "entropy 1.10"]),
    "collapse, of no digits": (
        dict(diversity=0.1, entropy_fresh=None, classes_fresh=None), ["collapsed", "differ by 10%"],
    ),
    "collapse, to one image": (dict(D_WINS, diversity=0.001), ["all the same", "differ by 0%"]),
}  # fmt: skip


def diagnose(found, skipping=False):
    """The Findings in rows."""
    return doctor.examined(found, skipping).findings


def probed(*parts, every=100):
    """Rows of 100 steps a probe: parts are (probes, what is not healthy at them)."""
    found = []
    for probes, unhealthy in parts:
        for _ in range(probes):
            for _ in range(every):
                step = len(found) + 1
                row = {**dict.fromkeys(rows.COLUMNS), "step": step, **HEALTHY, **unhealthy}
                found.append(row if step % every == 0 else {**row, **dict.fromkeys(rows.SIGNALS)})
    return found


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_named_with_its_step_its_number_and_the_fix(name):
    unhealthy, words = FAILURES[name]
    (finding,) = diagnose(probed((30, {}), (35, unhealthy)))
    assert (finding.kind, finding.step) == (name.partition(",")[0], 3100)
    assert all(word in finding.sentence for word in words), finding.sentence
    assert "\n" not in finding.sentence and finding.sentence.endswith(".")
    for option in (word.strip(".,") for word in finding.sentence.split() if word.startswith("--")):
        assert option in train.parser().format_help()


@pytest.mark.parametrize("name", FAILURES)
def test_what_does_not_last_or_comes_at_the_beginning_raises_nothing(name):
    unhealthy, _ = FAILURES[name]
    assert not diagnose(probed((30, {}), *[(2, unhealthy), (1, {})] * 5))
    assert not diagnose(probed((4, unhealthy), (30, {})))
    assert not diagnose(probed((10, unhealthy), (30, {}), every=20))  # many probes, few steps
    assert not diagnose(probed((10, {}), *[(2, unhealthy), (1, {})] * 3, every=4000))  # many steps, few probes


def test_a_collapse_is_not_looked_for_in_the_first_thousand_steps():
    assert not diagnose(probed((15, FEW), (30, {})))
    assert diagnose(probed((16, FEW), (30, {})))[0].step == 1100


def test_few_kinds_must_last_longer_than_one_or_two():
    three = dict(FEW, entropy_fresh=1.1)
    assert not diagnose(probed((20, {}), (30, three), (1, {}), (30, three)))
    assert diagnose(probed((20, {}), (31, three)))


def test_a_failure_that_is_over_is_said_to_be():
    (finding,) = diagnose(probed((10, {}), (5, D_WINS), (2, {}), (1, D_WINS), (5, {})))
    assert finding.step == 1100 and finding.sentence.endswith("(That lasted until step 1,800.)")
    (finding,) = diagnose(probed((10, {}), (5, D_WINS), (2, {})))
    assert "lasted" not in finding.sentence


def test_a_single_look_long_after_does_not_make_a_failure_last():
    (finding,) = diagnose(probed((10, {}), (9, FEW), (20, {}), (1, FEW), (1, {})))
    assert finding.sentence.endswith("(That lasted until step 1,900.)")
    (finding,) = diagnose(probed((10, {}), (9, FEW), (20, {}), (3, FEW), (1, {})))
    assert "lasted" not in finding.sentence


@pytest.mark.parametrize("first", ["d_wins", "g_wins", "d_dead"])
def test_a_collapse_under_another_failure_is_told_with_it(first):
    unhealthy, _ = FAILURES[first]
    (finding,) = diagnose(probed((30, {}), (35, unhealthy | FEW)))
    assert finding.kind == first.partition(",")[0] and "Meanwhile G's samples are of few kinds: " in finding.sentence
    (finding,) = diagnose(probed((30, {}), (35, unhealthy)))
    assert "Meanwhile" not in finding.sentence


def test_a_collapse_is_ruled_out_only_where_it_would_have_been_found():
    for parts, every, ruled_out in (
        ((15, {}), 100, False),
        ((16, {}), 100, True),
        ((3, {}), 500, False),
        ((5, {}), 500, True),
    ):
        seen = doctor.examined(probed(parts, every=every)).seen
        assert (seen.enough, seen.collapse) == (True, ruled_out)
        assert (seen.steps, seen.probes) == (parts[0] * every, parts[0])


def test_what_may_be_a_consequence_waits_until_its_cause_is_over():
    assert [f.kind for f in diagnose(probed((30, {}), (9, D_WINS | FEW)))] == ["d_wins"]
    assert [f.kind for f in diagnose(probed((30, {}), (9, D_WINS | FEW), (3, FEW)))] == ["d_wins", "collapse"]
    assert [f.kind for f in diagnose(probed((30, {}), (9, FEW), (9, D_WINS)))] == ["collapse", "d_wins"]


@pytest.mark.parametrize("column, name", [("loss_d", "D"), ("loss_g", "G")])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_named_at_once(column, name, value):
    found = probed((1, {}))
    found[56][column] = value
    (finding,) = diagnose(found[:57])
    assert (finding.kind, finding.step) == ("not_a_number", 57) and f"loss of {name} is no number" in finding.sentence


@pytest.mark.parametrize("skipping, last", [(False, 100), (True, 57)])
def test_steps_that_were_skipped_are_said_to_be(skipping, last):
    """They were, where the run goes on after them, or where it is known to skip."""
    found = probed((1, {}))
    found[19]["loss_g"], found[56]["d_fake"] = math.inf, math.nan
    (finding,) = diagnose(found[:20], skipping=True)
    assert finding.step == 20 and finding.sentence.startswith("Step 20 was skipped")
    (finding,) = diagnose(found[:last], skipping)
    assert finding.sentence.startswith("2 steps were skipped, the first of them step 20 and the last step 57")


def test_the_command_knows_from_the_settings_that_steps_are_skipped(tmp_path, capsys):
    (tmp_path / "metrics.csv").write_text(",".join(rows.STEP_COLUMNS) + "\n1,1,nan,2,.5,.5,1\n")
    for config, words in (("{}", "is no number after step 1"), ('{"on_nonfinite": "skip"}', "Step 1 was skipped")):
        (tmp_path / "config.json").write_text(config)
        assert doctor.main([str(tmp_path)]) == 0
        assert words in capsys.readouterr().out


def test_rows_of_before_there_were_signals_raise_nothing():
    old = [{name: row[name] for name in rows.STEP_COLUMNS} for row in probed((30, G_DEAD))]
    assert diagnose(old) == diagnose([]) == []


# --- runs with planted failures, of small networks


class IgnoresNoise(nn.Module):
    """Latents to ones."""

    def forward(self, z):
        return z * 0 + 1


def without_noise(make):
    return lambda: nn.Sequential(IgnoresNoise(), *make())


def with_zero_weights(initialise):
    def zero(network, generator):
        initialise(network, generator)
        if network[0].weight.shape[0] == 100:  # the generator
            for parameter in network.parameters():
                parameter.data[...] = 0

    return zero


PLANTED = [
    ("g_dead", dict(lr_g=1e-12), {}),
    ("g_dead", {}, {"initialise": with_zero_weights}),
    ("d_wins", dict(lr_g=1e-7, lr_d=5e-3), {}),
    ("d_dead", dict(lr_d=1e-12), {}),
    ("collapse", {}, {"generator": without_noise}),
    ("not_a_number", dict(lr_g=1e38, lr_d=1e38), {}),
]


@pytest.mark.parametrize("kind, chosen, changes", PLANTED)
def test_a_planted_failure_is_named_and_as_nothing_else(
    tmp_path, small_dataset, small_recipes, monkeypatch, kind, chosen, changes
):
    recipe = recipes.RECIPES["chaudhary2024"]
    changes = {name: change(getattr(recipe, name)) for name, change in changes.items()}
    monkeypatch.setitem(recipes.RECIPES, recipe.name, dataclasses.replace(recipe, **changes))
    monkeypatch.setattr(signals, "_own_judge", lambda run: ByBrightness())
    rarely = {"sample_every": 1000, "checkpoint_every": 1000}
    run = make_run(recipe.name, small_dataset, steps=900, probe_every=100, **rarely, **chosen)
    try:
        folder = trained(tmp_path / "run", run)
    except UserError as error:
        assert kind == "not_a_number" and "is not finite" in str(error)
        folder = run_folder.RunFolder(tmp_path / "run")
    findings = diagnose(rows.read(folder.metrics))
    assert [finding.kind for finding in findings] == [kind], findings


# --- in training, and the command


@pytest.fixture
def a_d_that_wins(monkeypatch, small_recipes):
    """Inside the test, every probe sees a D that wins."""
    seen = {name: value for name, value in {**HEALTHY, **D_WINS}.items() if name in rows.SIGNALS}
    monkeypatch.setattr(signals.Probe, "__call__", lambda self: seen)
    monkeypatch.setattr(doctor, "SURE", -1.0)  # whatever D's outputs are in these few steps
    monkeypatch.setattr(doctor, "CONDITIONS", [c._replace(grace=0, lasting=2) for c in doctor.CONDITIONS])


def test_a_finding_is_said_once_when_it_appears_and_listed_at_the_end(tmp_path, small_dataset, a_d_that_wins, capsys):
    arguments = [
        "--dataset",
        str(small_dataset),
        "--out",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--probe-every",
        "1",
    ]
    assert train.main([*arguments, "--steps", "6"]) == 0
    said = capsys.readouterr()
    assert said.err.count("minigan: D separates") == 1 and said.out.count("Doctor: D separates") == 1
    assert train.main(["--resume", str(tmp_path / "run"), "--steps", "9", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "D separates" not in said.err and said.out.count("since step 1 ") == 1  # seen in the past rows
    assert doctor.main([str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.startswith("D separates real from generated images perfectly since step 1 ")


def test_quiet_is_quiet_about_findings(tmp_path, small_dataset, a_d_that_wins, capsys):
    run = make_run("chaudhary2024", small_dataset, steps=6, probe_every=1)
    trained(tmp_path / "run", run)
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_a_healthy_run_has_nothing_to_report(tmp_path, capsys):
    short, long = probed((10, dict(FEW, diversity=0.1))), probed((30, {}))
    for found, words in (
        (long, "3,000 steps"),
        (probed((1, {})), "too few"),
        (short, "few kinds of images cannot be said"),
    ):
        lines = [",".join(rows.cells([row[n] or 0 for n in rows.STEP_COLUMNS], row)) for row in found]
        (tmp_path / "metrics.csv").write_text("\n".join([",".join(rows.COLUMNS), *lines]) + "\n")
        assert doctor.main([str(tmp_path)]) == 0
        out = capsys.readouterr().out
        assert out.startswith("Nothing to report: ") and words in out


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path):
    assert_refused(run_command("minigan.doctor", tmp_path), "metrics.csv", "minigan.train")
    (tmp_path / "metrics.csv").write_text("a,b\n")
    with pytest.raises(SystemExit) as caught:
        cli.run(lambda: doctor.main([str(tmp_path)]))
    assert caught.value.code == cli.EXIT_BAD_INPUT


def test_numbers_are_short():
    numbers = {69.123: "69", 0.0131: "0.013", 1.2e-7: "1.2e-7", 0.0: "0", 12345.6: "12,346", 1e12: "1e+12"}
    assert [doctor._short(number) for number in numbers] == list(numbers.values())

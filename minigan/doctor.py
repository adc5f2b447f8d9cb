"""python -m minigan.doctor: what is wrong with a run, in plain sentences, from the rows of its metrics.csv.

Goodfellow, "NIPS 2016 Tutorial: Generative Adversarial Networks", sections 3.2 and 5.1, describes the two failures that
matter most: a discriminator that wins leaves no gradient, a generator that collapses draws few kinds of images. Only
what lasts is reported: over several probes and steps in a row, after the unrest of the first steps.
"""

import json
import math
from collections import namedtuple
from dataclasses import dataclass, replace
from pathlib import Path

from minigan import cli, rows
from minigan.errors import UserError

PROBES = 3  # in a row that must agree, and span the steps that a Condition must last
SHORT = 500  # steps of a run of which nothing is said but that its losses are numbers
GRACE = 200  # steps at the beginning that do not count
LASTING_COLLAPSE = 500  # steps
COLLAPSE_GRACE = 1000  # where few kinds of samples are in question: G begins with one, and takes its time to find many

FEW_KINDS = 1.3  # nats of the classes' entropy: that of 3.7 digits drawn equally often; all ten have 2.3
ONE_OR_TWO_KINDS = 0.75
ALIKE = 0.25  # of the mean distance between real images
SAME = 0.005  # of it: one and the same image
SURE = 0.9  # D's mean output for real images, and what it lies below 1 for generated ones, where D wins
UNDECIDED = 0.01  # between D's mean outputs for real and generated images, where D sees no difference
FOOLED = 0.1  # by which its mean output for generated images exceeds that for real ones, where G wins
NO_GRADIENT = 1e-6  # an L2 norm over all parameters; in a healthy run it is above 0.1
LARGE_STEP = 4e-3  # of the weights' size; Adam's usual ones are about a thousandth
NO_STEP = 2.0**-24  # of a float32's size: adding less than that does not change it

# What a row has where the run was probed, if no cell of it was lost.
PROBED = ("d_accuracy", "d_saturation", "gradient_d", "gradient_g", "diversity", "update_d", "update_g")

# What the steps since the last probe and the probe itself tell. real, fake: D's mean outputs; signals: {name: value}.
Look = namedtuple("Look", "step loss_g real fake signals")

# How much a Doctor has seen. enough: to call a run well. collapse: to have found one by now, if there were one.
Seen = namedtuple("Seen", "steps probes enough collapse")

# kind: of a Finding. holds: Look to bool. says: the Looks at which it held to a sentence. grace: steps at the beginning
# that do not count. lasting: steps that it must have held for.
Condition = namedtuple("Condition", "kind holds says grace lasting")


@dataclass(frozen=True)
class Finding:
    """Something that is wrong since a step. kind: not_a_number, or one of CONDITIONS."""

    step: int
    kind: str
    sentence: str


class Doctor:
    """Takes the rows of a run one by one, as dicts {column: number or None}.

    skipping: whether a step that leaves a number that is not finite is skipped; where the run goes on after one, it was.
    """

    def __init__(self, skipping=False):
        self.probes, self.skipping = 0, skipping
        self._not_finite, self._goes_on = [], False  # the steps whose numbers are none, and whether others followed
        self._sums, self._count = [0.0] * 3, 0  # of loss_g, d_real, d_fake, since the last probe
        self._streaks = [[] for _ in CONDITIONS]  # the Looks in a row at which each held
        self._found = {}  # {kind: Finding}
        self._held = {}  # {kind: the step and the number of the last probe at which it held, once it lasts}
        self._last = 0  # the last step
        self._late = []  # the steps of probes at which a collapse would count

    def add(self, row):
        """Takes the next row in. Returns a new Finding, or None. Raises ValueError where some of its signals are lost."""
        self._goes_on, self._last = bool(self._not_finite), row["step"]
        if not all(math.isfinite(row[name]) for name in rows.NUMBERS):
            self._not_finite.append(row["step"])
            return self._report(row["step"], "not_a_number", _not_a_number_says(row))
        self._sums = [total + row[name] for total, name in zip(self._sums, ("loss_g", "d_real", "d_fake"))]
        self._count += 1
        if row.get("gradient_g") is None:
            return None
        if lost := [name for name in PROBED if row.get(name) is None]:
            raise ValueError(f"of step {row['step']:,} there is gradient_g, but no {' and no '.join(lost)}")
        look = Look(row["step"], *(total / self._count for total in self._sums), signals=row)
        self._sums, self._count, self.probes = [0.0] * 3, 0, self.probes + 1
        return self._examine(look)

    def _examine(self, look):
        if look.step > COLLAPSE_GRACE:
            self._late.append(look.step)
        for streak, condition in zip(self._streaks, CONDITIONS):
            if look.step > condition.grace and condition.holds(look):
                streak.append(look)
                _, probe = self._held.get(condition.kind, (0, -2 * PROBES))
                if len(streak) >= PROBES or self.probes - probe <= PROBES:  # a single look long after is no return
                    self._held[condition.kind] = look.step, self.probes
            else:
                streak.clear()
        waits = None  # a kind that may be the cause of the others
        for streak, condition in zip(self._streaks, CONDITIONS):
            if streak and waits in (None, condition.kind):
                waits = condition.kind
                if len(streak) >= PROBES and look.step - streak[0].step >= condition.lasting:
                    return self._report(streak[0].step, condition.kind, condition.says(streak))
        return None

    def _report(self, step, kind, sentence):
        """A new Finding, or None: a kind is found once in a run."""
        if kind in self._found:
            return None
        self._found[kind] = Finding(step, kind, sentence)
        return self._found[kind]

    @property
    def seen(self):
        """How much there was to go by: a Seen."""
        late = self._late
        collapse = len(late) >= PROBES and late[-1] - late[0] >= LASTING_COLLAPSE
        return Seen(self._last, self.probes, self.probes >= PROBES and self._last >= SHORT, collapse)

    @property
    def findings(self):
        """All Findings so far, in the order in which they appeared; of one that is over it is said when it ended."""
        return [self._until_when(finding) for finding in self._found.values()]

    def _until_when(self, finding):
        if finding.kind == "not_a_number":
            skipped = self.skipping or self._goes_on
            return replace(finding, sentence=_skipped_says(self._not_finite)) if skipped else finding
        step, probe = self._held.get(finding.kind, (0, self.probes))
        if self.probes - probe < PROBES:
            return finding
        return replace(finding, sentence=f"{finding.sentence} (That lasted until step {step:,}.)")


def examined(rows, skipping=False):
    """A Doctor who has taken in rows of metrics.csv; rows and skipping as for a Doctor."""
    doctor = Doctor(skipping)
    for row in rows:
        doctor.add(row)
    return doctor


def nothing_found(seen):
    """What it means, in words, that a Doctor who has Seen so much has found nothing."""
    losses = f"the losses of {seen.steps:,} steps are numbers"
    probes = f"{seen.probes:,} probe{'' if seen.probes == 1 else 's'}"
    if not seen.enough:
        return f"{losses}; {seen.steps:,} steps with {probes} are too few for more (see minigan.train --probe-every)."
    players = f"{losses}, and at none of {probes}, in the long run, did one player win or stand still"
    if not seen.collapse:
        return (
            f"{players}. Whether G draws few kinds of images cannot be said yet: that takes {PROBES} probes after step "
            f"{COLLAPSE_GRACE:,}, over {LASTING_COLLAPSE} steps or more."
        )
    return f"{players}, or did G draw few kinds of images."


# The conditions, at one look, and their sentences, of the looks at which they held.


def _g_is_dead(look):
    s = look.signals
    return _stands_still(s, "g") or (s["gradient_g"] <= NO_GRADIENT and s["diversity"] < SAME)


def _stands_still(signals, player):
    """Whether there is a gradient, but the optimizer's steps are too small to change the weights."""
    return signals[f"update_{player}"] < NO_STEP and signals[f"gradient_{player}"] > NO_GRADIENT


def _stands_still_says(signals, player, since):
    name = player.upper()
    return (
        f"{name} does not learn, since step {since} or before: its gradient is {_short(signals[f'gradient_{player}'])}"
        f", but a step changes its weights by {_short(signals[f'update_{player}'])} of their size, less than their "
        f"last digit: start again with a higher --lr-{player}."
    )


def _g_is_dead_says(streak):
    since, last = f"{streak[0].step:,}", streak[-1].signals
    if _stands_still(last, "g"):
        so = " So D separates its images from real ones perfectly." if _d_wins(streak[-1]) else ""
        return _stands_still_says(last, "g", since) + so
    return (
        f"G is dead since step {since}: all its images are the same, and its gradient is {_short(last['gradient_g'])}, "
        "so it cannot recover: start again with a lower --lr-g, or another --seed."
    )


def _d_stands_still(look):
    return _stands_still(look.signals, "d")


def _d_stands_still_says(streak):
    return _stands_still_says(streak[-1].signals, "d", f"{streak[0].step:,}")


def _d_is_dead(look):
    s = look.signals
    return abs(look.real - look.fake) < UNDECIDED and s["d_accuracy"] <= 0.6


def _d_is_dead_says(streak):
    since, last = f"{streak[0].step:,}", streak[-1]
    s = last.signals
    change = "a lower --lr-d" if s["gradient_d"] <= NO_GRADIENT else "a higher --lr-d, a lower --lr-g or --d-steps 2"
    return (
        f"D gives real and generated images the same answer since step {since} (on average {last.real:.3f} and "
        f"{last.fake:.3f}; its gradient is {_short(s['gradient_d'])}), so G has nothing to learn from: start again "
        f"with {change}.{_few_kinds_too(last)}"
    )


def _g_wins(look):
    return look.fake > look.real + FOOLED


def _g_wins_says(streak):
    since, last = f"{streak[0].step:,}", streak[-1]
    return (
        f"G fools D since step {since}: D gives its images {last.fake:.3f} on average and real ones {last.real:.3f}, "
        f"so that G need not get better: start again with a higher --lr-d, a lower --lr-g or --d-steps 2.{_few_kinds_too(last)}"
    )


def _d_wins(look):
    s = look.signals
    return look.real > SURE and look.fake < 1 - SURE and s["d_accuracy"] > SURE and s["d_saturation"] > 0.5


def _d_wins_says(streak):
    since, last = f"{streak[0].step:,}", streak[-1]
    gradient, update = (last.signals[name] for name in ("gradient_g", "update_g"))
    rate = f"a lower --lr-g, as its steps are {update:.1%} of its weights" if update > LARGE_STEP else "a higher --lr-g"
    so = "nothing to learn from" if gradient < 1e-3 else "but G does not catch up"
    also = ", or with --loss nonsaturating" if last.loss_g < 0 else ""  # only the minimax loss is negative
    return (
        f"D separates real from generated images perfectly since step {since} (on average it gives them "
        f"{last.real:.3f} and {last.fake:.3f}), and G's gradient is {_short(gradient)}, {so}: start again with a lower "
        f"--lr-d or {rate}{also}.{_few_kinds_too(last)}"
    )


def _ignores_noise(look):
    return look.signals["diversity"] < SAME


def _collapsed(look):
    return look.signals["diversity"] < ALIKE or _classes_entropy(look) < ONE_OR_TWO_KINDS


def _draws_few_kinds(look):
    return _classes_entropy(look) < FEW_KINDS


def _classes_entropy(look):
    entropy = look.signals.get("entropy_fresh")
    return math.inf if entropy is None else entropy


def _collapsed_says(streak):
    since, last = f"{streak[0].step:,}", streak[-1].signals
    kinds = "all the same" if last["diversity"] < SAME else "of few kinds"
    return (
        f"G has collapsed: since step {since} its samples are {kinds}, whatever the noise: {_kinds(last)}. Start again "
        "with a lower --lr-g or a higher --lr-d, --d-steps 2, a larger --batch-size or another --seed."
    )


def _kinds(signals):
    """How much the samples differ, and what digits they are."""
    what = f"they differ by {signals['diversity']:.0%} of what real images do"
    counts = signals.get("classes_fresh")
    if counts is None or signals.get("entropy_fresh") is None:
        return what
    most = sorted(range(10), key=lambda digit: -counts[digit])[:3]
    shares = ", ".join(f"{counts[digit] / sum(counts):.0%} {digit}" for digit in most if counts[digit])
    return f"{what}, and the judge takes them for: {shares} (entropy {signals['entropy_fresh']:.2f} of at most 2.30)"


def _few_kinds_too(look):
    """A sentence more, where a collapse goes with what is wrong first."""
    if look.step <= COLLAPSE_GRACE or not _collapsed(look):
        return ""
    return f" Meanwhile G's samples are of few kinds: {_kinds(look.signals)}."


def _not_a_number_says(row):
    first, *others = (name for column, name in rows.NUMBERS.items() if not math.isfinite(row[column]))
    also = f", nor {' nor '.join(others)}" if others else ""
    return (
        f"{first[0].upper()}{first[1:]} is no number after step {row['step']:,}{also}: start again with lower learning "
        "rates, --lr-g and --lr-d, or go on with --resume --on-nonfinite skip."
    )


def _skipped_says(steps):
    if len(steps) == 1:
        return f"Step {steps[0]:,} was skipped, as a loss was no number after it (--on-nonfinite skip)."
    return (
        f"{len(steps):,} steps were skipped, the first of them step {steps[0]:,} and the last step {steps[-1]:,}, as a "
        "loss was no number after them (--on-nonfinite skip): if there are many, start again with lower learning rates, "
        "--lr-g and --lr-d."
    )


# One may be the cause of those of another kind below it, so that they are reported only where it does not hold.
CONDITIONS = (
    Condition("g_dead", _g_is_dead, _g_is_dead_says, GRACE, lasting=200),
    Condition("collapse", _ignores_noise, _collapsed_says, GRACE, LASTING_COLLAPSE),
    Condition("d_dead", _d_stands_still, _d_stands_still_says, GRACE, lasting=200),
    Condition("d_dead", _d_is_dead, _d_is_dead_says, GRACE, lasting=1000),
    Condition("g_wins", _g_wins, _g_wins_says, GRACE, lasting=500),
    Condition("d_wins", _d_wins, _d_wins_says, GRACE, lasting=200),
    Condition("collapse", _collapsed, _collapsed_says, COLLAPSE_GRACE, LASTING_COLLAPSE),
    Condition("collapse", _draws_few_kinds, _collapsed_says, COLLAPSE_GRACE, lasting=3000),
)


def _short(number):
    """Two digits, or a whole number: 69, 0.013, 1e-7, 12,345."""
    if 100 <= number < 1e6:
        return f"{number:,.0f}"
    return f"{number:.2g}".replace("e-0", "e-").replace("e+0", "e+")


# The command.


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.doctor",
        description="Say in plain sentences what went wrong in a run, if anything: a collapse, a player that wins, a "
        "player that does not learn, a loss that is no number. Only what lasts is reported.",
    )
    p.add_argument("run", metavar="RUN_FOLDER", type=cli.path, help="the folder that minigan.train wrote")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    path = Path(parser().parse_args(argv).run)
    path = path.parent if path.name == "metrics.csv" else path
    try:
        doctor = examined(rows.read(path / "metrics.csv"), _skips(path / "config.json"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} has no metrics.csv: name the folder that minigan.train wrote") from None
    except ValueError as error:
        raise UserError(f"{path / 'metrics.csv'} cannot be read: {error}") from None
    for finding in doctor.findings:
        print(finding.sentence)
    if not doctor.findings:
        print(f"Nothing to report: {nothing_found(doctor.seen)}")
    return 0


def _skips(config):
    """Whether a run's config.json says that steps are skipped; no, where it cannot be read."""
    try:
        return json.loads(config.read_text()).get("on_nonfinite") == "skip"
    except (OSError, ValueError, AttributeError, RecursionError):
        return False


if __name__ == "__main__":
    cli.run(main)

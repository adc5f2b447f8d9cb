"""The sections of a report below its first screen: the doctor, scores, curves, signals, settings, machine.

Every text that comes from a file passes `escape`.
"""

import datetime
import math
from html import escape

import numpy as np

from minigan import doctor
from minigan.judge import SHA256 as SHIPPED_JUDGE
from minigan.report import charts, facts, top
from minigan.report.facts import score, shares, whole
from minigan.report.words import (
    ENVIRONMENT,
    SCORES,
    SPACE,
    advice,
    clipped,
    count,
    duration,
    setting,
    short,
    ten_shares,
)

SCORE_ROWS = {"samples": "Samples", "real": "Real images", "noise": "Noise"}
UNIFORM = math.log(10)  # nats: the entropy of ten classes that are equally frequent


def title(run):
    """The page's title."""
    return f"{top.name(run)}: a report of {run.folder.resolve().name or run.folder}"


def body(run):
    """The whole page, as HTML."""
    diagnosis = facts.diagnosis(run)
    last = f'<div class="pair">{_settings(run)}{_machine(run)}</div>'
    parts = [top.header(run, diagnosis), _doctor(diagnosis), _scores(run), _curves(run), _signals(run), last]
    return "\n".join(part for part in parts if part)


def _doctor(diagnosis):
    if diagnosis is None or not (diagnosis.findings or diagnosis.seen.enough):
        return ""
    if not diagnosis.findings:
        html = f"<p>Nothing to report: {escape(doctor.nothing_found(diagnosis.seen))}</p>"
    else:
        items = "".join(
            f"<li><span>{'Step ' + format(step, ',') if step else ''}</span> {advice(sentence)}</li>"
            for step, sentence in diagnosis.findings
        )
        html = f'<ol class="findings">{items}</ol>'
    return _section("doctor", "The doctor", "Sentences from the losses and the signals that training logs.", html)


def _scores(run):
    if not run.scores:
        return ""
    metrics = [metric for metric in SCORES if any(score(run.scores, row, metric) for row in run.scores["rows"])]
    if not metrics:
        return _section("scores", "Scores", "", "<p>scores.json holds none that can be shown.</p>")
    rows = []
    for metric in metrics:
        name, better, meaning = map(escape, SCORES[metric])
        cells = "".join(_score_cell(row, score(run.scores, row, metric)) for row in SCORE_ROWS)
        rows.append(f'<tr><th scope="row">{name} <span>{better}</span><small>{meaning}</small></th>{cells}</tr>')
    heads = "".join(f'<th scope="col" class="{row}">{head}</th>' for row, head in SCORE_ROWS.items())
    head = f'<thead><tr><th scope="col">Score</th>{heads}</tr></thead>'
    html = f'<table class="scores">{head}<tbody>{"".join(rows)}</tbody></table>'
    bars = [("samples", "g", shares(run.scores, "samples")), ("real images", "d", shares(run.scores, "real"))]
    html += _grid(
        [_bars("Shares of the ten digits", [bar for bar in bars if bar[2] is not None], "As the judge reads them.")]
    )
    return _section("scores", "Scores", _measured_how(run), html)


def _measured_how(run):
    scores = run.scores
    source, judge = (value if isinstance(value, dict) else {} for value in (scores.get("source"), scores.get("judge")))
    samples, step = whole(scores.get("count")), whole(source.get("step"))
    text = f"Of {samples:,} samples" if samples else "Of samples"
    text += f" after step {step:,}" if step else ""
    if source.get("ema") is True:
        text += ", drawn by the moving average of G's weights"
    elif run.config.get("ema"):
        text += ", drawn by G's own weights, not by their moving average"
    text += f", under judge {clipped(judge['version'])}" if "version" in judge else ""
    sha256 = judge.get("sha256")
    shipped = sha256 == SHIPPED_JUDGE
    text += f" of SHA-256 {clipped(sha256)[:16]}…" if isinstance(sha256, str) and not shipped else ""
    if shipped and scores.get("dataset", "mnist") != "mnist":
        text += f", which has learnt MNIST's digits and says little of the images in {clipped(scores['dataset'])}"
    text += (
        ". Below each value, its 95% interval. The real test images, measured the same way, are about the best that "
        "can be expected; noise is the worst."
    )
    trained_on = scores.get("trained_on")
    if isinstance(trained_on, list) and "t10k" in trained_on:
        text += " This run has been trained on the test images, too: they are no longer new to it."
    if step and run.step and step != run.step:
        text += f" The run has since gone on to step {run.step:,}."
    return text


def _score_cell(row, value):
    """A cell of the table; its column's name stands in it, too, for screens on which the table's head does not fit."""
    head = f'class="{row}" data-row="{SCORE_ROWS[row]}"'
    if value is None:
        return f"<td {head}>–</td>"
    middle, low, high = value
    interval = f"<small>{short(low)} to {short(high)}</small>" if math.isfinite(low) and math.isfinite(high) else ""
    return f"<td {head}><b>{short(middle)}</b>{interval}</td>"


def _curves(run):
    if not run.metrics:
        return _section("curves", "Training", "", "<p>There are no losses to draw yet.</p>")
    g_at_draw = f"ln{SPACE}1/2{SPACE}= −0.693" if run.config.get("loss") == "minimax" else f"ln{SPACE}2{SPACE}= 0.693"
    figures = [
        _lines(
            "Losses (nats)",
            [("D", "d", "loss_d"), ("G", "g", "loss_g")],
            run.metrics,
            f"At a draw D says 1/2 to everything: D's loss is then 2 ln 2 = 1.386, G's {g_at_draw}.",
        ),
        _lines(
            "D's output: the probability of being real",
            [("for real images", "d", "d_real"), ("for generated images", "g", "d_fake")],
            run.metrics,
            "D wins as the two part towards 1 and 0; at 1/2 (dashed) it cannot tell.",
            limits=(0.0, 1.0),
            reference=0.5,
        ),
    ]
    return _section("curves", "Training", _averaged(len(run.metrics["step"]), "step"), _grid(figures))


def _signals(run):
    """What the run was probed for, where metrics.csv has it."""
    m = run.metrics
    figures = [
        _lines(
            "Entropy of the digits drawn (nats)",
            [("fresh latents", "g", "entropy_fresh"), ("fixed latents", "other", "entropy_fixed")],
            m,
            "At ln 10 = 2.303 (dashed) all ten digits are equally frequent; at 0 there is one digit only.",
            limits=(0.0, 2.4),
            reference=UNIFORM,
        ),
        _class_map(m),
        _class_bars(m),
        _lines(
            "Diversity",
            [("samples", "g", "diversity")],
            m,
            "Mean distance between samples, as a share of that between real images (dashed: 1).",
            reference=1.0,
        ),
        _lines(
            "Gradient norms",
            [("D", "d", "gradient_d"), ("G", "g", "gradient_g")],
            m,
            "Of all parameters together. A player whose gradient goes to nothing has stopped learning.",
            log=True,
        ),
        _lines(
            "Size of an update",
            [("D", "d", "update_d"), ("G", "g", "update_g")],
            m,
            "The optimizer's step as a share of the weights it moves, both as L2 norms.",
            log=True,
        ),
        _lines(
            "D's judgement",
            [("accuracy", "d", "d_accuracy"), ("saturation", "other", "d_saturation")],
            m,
            "Accuracy: the share of images that it judges rightly. Saturation: of outputs within 0.01 of 0 or 1.",
            limits=(0.0, 1.0),
        ),
    ]
    if not any(figures):
        return ""
    columns = ("gradient_g", "diversity", "d_accuracy", "entropy_fresh")
    probes = max(int(np.isfinite(m[name]).sum()) for name in columns if name in m)
    text = f"What the doctor goes by, measured {count(probes, 'time')}. {_averaged(probes, 'measurement')}"
    return _section("signals", "Signals", text.strip(), _grid(figures))


def _averaged(rows, noun):
    """What the lines and bands of a section's charts are, where they average."""
    each = charts.rows_a_point(rows)
    return (
        f"A line is the mean of every {count(each, noun)}; the band holds the middle 80% of them." if each > 1 else ""
    )


def _lines(name, series, columns, note, **options):
    """A figure of columns over the steps at which they were measured. series: [(label, class name, column)]."""
    drawn, ends = [], []
    for label, kind, column in series:
        values = columns.get(column)
        if values is None or not np.isfinite(values).any():
            continue
        measured = np.isfinite(values)
        # Of what is written down at every step all rows, so that its gaps are seen; of a probe those that measured it.
        rows = slice(None) if measured.mean() > 0.5 else measured
        drawn.append((kind, columns["step"][rows], values[rows]))
        end = values[measured][-max(1, int(measured.sum()) // 100) :]
        ends.append((label, kind, f"{label}: {short(float(np.mean(end)))}"))
    if not drawn:
        return ""
    over = count(int(columns["step"][-1]), "step")
    svg, cut = charts.lines(drawn, f"{name}, over {over}. At the end {'; '.join(end[2] for end in ends)}.", **options)
    return _figure(name, svg, ends, note + " Rare peaks are cut off." * cut)


def _measured(columns, name):
    """(steps, counts) of the rows where class counts were measured."""
    if name not in columns:
        return np.zeros(0), np.zeros((0, 10))
    good = np.isfinite(columns[name]).all(1) & (columns[name].sum(1) > 0)
    return columns["step"][good], columns[name][good]


def _class_map(columns):
    steps, counts = _measured(columns, "classes_fresh")
    if len(steps) < 2:
        return ""
    svg = charts.class_map(steps, counts, f"Map of the shares of the ten digits over {len(steps):,} probes.")
    note = "A row is a digit, a column a time; the stronger the colour, the more often the digit came, up to 25%."
    return _figure("Digits drawn over training", svg, [("fresh latents", "g")], f"{note} Even colour is health.")


def _class_bars(columns):
    bars, step = [], 0
    for label, kind, name in (("fresh latents", "g", "classes_fresh"), ("fixed latents", "other", "classes_fixed")):
        steps, counts = _measured(columns, name)
        if len(steps):
            step = max(step, int(steps[-1]))
            bars.append((label, kind, counts[-1] / counts[-1].sum()))
    return _bars(f"Digits drawn at step {step:,}", bars, "Dashed: one in ten.", reference=0.1)


def _bars(name, bars, note, **options):
    """A figure of the shares of the ten digits. bars: [(label, class name, shares)]."""
    if not bars:
        return ""
    words = "; ".join(ten_shares(label, values) for label, _, values in bars)
    return _figure(name, charts.bars([bar[1:] for bar in bars], f"{name}. {words}.", **options), bars, note)


def _settings(run):
    if not run.config:
        return ""
    rows = []
    for s in facts.compared(run):
        own = "chosen" if s.own is None else f"recipe: {setting(s.own)}"
        changed = f' <span class="changed">{escape(own)}</span>' if s.changed else ""
        rows.append((s.label[0].upper() + s.label[1:], escape(setting(s.value)) + changed))
    html = _table(rows)
    if run.recipe:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in run.recipe.deviations)
        html += f"<details><summary>Where the recipe differs from the paper</summary><ul>{items}</ul></details>"
    return _section("settings", "Settings", "", html)


def _machine(run):
    rows = []
    if run.seconds:
        size = whole(run.config.get("batch_size"))
        rate = f" ({run.step * size / run.seconds:,.0f} real images a second)" if size else ""
        rows.append(("Time in the steps", duration(run.seconds) + rate))
    known = [name for name in ENVIRONMENT if name in run.environment]
    others = [name for name in run.environment if name not in ENVIRONMENT]
    rows += [(ENVIRONMENT.get(name, clipped(name)), escape(clipped(run.environment[name]))) for name in known + others]
    rows.append(("Report written", datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")))
    return _section("machine", "Machine, versions, time", "", _table(rows))


def _table(rows):
    """A table of [(text, HTML)]."""
    html = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>' for name, value in rows)
    return f'<table class="settings"><tbody>{html}</tbody></table>'


def _section(name, heading, introduction, html):
    introduction = f"<p>{escape(introduction)}</p>" if introduction else ""
    return f'<section id="{name}"><h2>{escape(heading)}</h2>{introduction}{html}</section>'


def _grid(figures):
    return f'<div class="charts">{"".join(figures)}</div>' if any(figures) else ""


def _figure(name, svg, legend, note):
    """A chart with its name, the legend of its colours [(label, class name, ...)], and a note."""
    keys = "".join(f'<span class="key {kind}">{escape(label)}</span>' for label, kind, *_ in legend)
    return (
        f'<figure class="chart"><figcaption>{escape(name)}</figcaption><p class="keys">{keys}</p>{svg}'
        f'<p class="note">{escape(note)}</p></figure>'
    )

"""The first screen of a report: what was trained, whether it went well, and generated digits beside real ones.

Every text that comes from a file passes `escape`; what is already HTML says so.
"""

import json
import shlex
from html import escape

from minigan.report import pictures
from minigan.report.facts import compared, score, whole
from minigan.report.words import advice, clipped, count, duration, setting, short


def name(run):
    """What the run is called: its recipe."""
    return clipped(run.config.get("recipe", "A run"))


def header(run, diagnosis):
    """The first screen, as HTML. diagnosis: the doctor's, or None."""
    size = next((picture[2] for picture in pictures.frames(run.samples[-1:])), None)
    splits = run.recipe.splits if run.recipe else ("train",)
    most = pictures.images_in(size) if size else run.recipe.samples if run.recipe else 64
    real = pictures.real(str(run.config.get("dataset", "mnist")), splits, most)
    verdicts = [_status(run, real[0]), _diagnosis(run, diagnosis), _score(run)]
    verdicts += [("warn", escape(problem)) for problem in run.problems]
    items = "".join(f'<li class="{kind}">{html}</li>' for kind, html in verdicts)
    return f"""<header>
<div>
<p class="eyebrow">minigan report</p>
<h1>{escape(name(run))}</h1>
<p class="lead">{_lead(run, real[0])}</p>
<ul class="verdicts">{items}</ul>
</div>
{_digits(run, real)}
</header>"""


def _lead(run, images):
    """A sentence or two: data, length, networks, and which settings are not the recipe's."""
    epochs, steps, size = (whole(run.config.get(key)) for key in ("epochs", "steps", "batch_size"))
    data_set = run.config.get("dataset", "mnist")
    html = "A generator G and a discriminator D, trained on "
    html += f"the {images:,} images of " if images else ""
    html += "MNIST" if data_set == "mnist" else f"<code>{escape(clipped(data_set))}</code>"
    html += f" in batches of {size:,}" if size else ""
    if steps:
        html += f", for {count(steps, 'step')}"
        html += f" (the recipe: {count(run.recipe.epochs, 'epoch')})" if run.recipe else ""
    elif epochs:
        html += f", for {count(epochs, 'epoch')}"
    if not run.recipe:
        return html + "."
    html += f". The networks are those of {escape(run.recipe.paper)}"
    changed = [
        f"{escape(s.label)} <b>{escape(setting(s.value))}</b> ({escape(setting(s.own))})"
        for s in compared(run)
        if s.changed and s.decides and not (steps and s.name == "epochs")
    ]
    return html + (
        f"; settings changed from the recipe's: {', '.join(changed)}." if changed else ", as are the settings."
    )


def _status(run, images):
    """(kind, HTML): how far the run has come."""
    if not run.metrics:
        return "info", "<b>No step yet.</b> The folder is there, but no step is written down in it."
    last, took = run.last_step(images), run.seconds and duration(run.seconds)
    if run.broken_at is not None:
        after = f", after {took}" if took else ""
        return "bad", f"<b>Broken.</b> A loss is no number any more at step {run.broken_at:,}{after}."
    took = f" in {took}" if took else ""
    if last is None:
        return "info", f"<b>{count(run.step, 'step')}</b>{took}."
    if run.step >= last:
        return "good", f"<b>Complete.</b> All {count(run.step, 'step')}{took}."
    return "info", (
        f"<b>Not complete.</b> {run.step:,} of {count(last, 'step')}{took}: under way, or stopped and ready for "
        "<code>--resume</code>."
    )


def _diagnosis(run, diagnosis):
    findings = diagnosis.findings if diagnosis else []
    if not findings and not (diagnosis and diagnosis.seen.enough):
        return "info", f"<b>No diagnosis</b> yet: {count(run.probes, 'probe')} of the run's signals."
    if not findings and not diagnosis.seen.collapse:
        return "info", "<b>Nothing wrong so far.</b> It is too early to see a collapse."
    if not findings:
        return "good", "<b>Healthy.</b> The doctor has nothing to report."
    more = f' <a href="#doctor">{count(len(findings) - 1, "more finding")}</a>.' if len(findings) > 1 else ""
    return "bad", f"<b>The doctor:</b> {advice(findings[0][1])}{more}"


def _score(run):
    if not run.scores:
        command = f"python -m minigan.evaluate {shlex.quote(str(run.folder / 'checkpoint.pkl'))}"
        return "info", f"<b>Not scored</b> yet: <code>{escape(command)}</code>"
    found, *others = (score(run.scores, row, "frechet_distance") for row in ("samples", "real", "noise"))
    if not found:
        return "info", '<b>Scored:</b> see <a href="#scores">the scores</a>.'
    beside = [f"{kind} {short(other[0])}" for kind, other in zip(("real images", "noise"), others) if other]
    beside = f"{', '.join(beside)}; " if beside else ""
    return "info", (
        f'<b>Fréchet distance {short(found[0])}</b> ({beside}lower is better). <a href="#scores">All scores</a>'
    )


def _digits(run, real):
    """Generated digits, the slider over training, real digits."""
    _, picture, size = real
    frames = pictures.frames(run.samples)
    controls, when = "", ""
    if frames:
        (step, uri, generated_size), last = frames[-1], max(run.step, frames[-1][0])
        generated = _image(uri, generated_size, f"Generated images after step {step:,}", ' id="picture"')
        when = f' <span id="step">after step {step:,}</span>'
        if len(frames) > 1:
            entries = [
                (f"after step {step:,} of {last:,}", uri, f"Generated images after step {step:,}")
                for step, uri, _ in frames
            ]
            controls = _controls(entries)
    else:
        words = "The pictures in samples/ cannot be read." if run.samples else "No samples have been drawn yet."
        generated = f'<p class="empty">{words}</p>'
    shown = _image(picture, size, "Real images from the data set") if size else f'<p class="empty">{_cut(picture)}</p>'
    return f"""<div class="digits">
<figure><figcaption><b class="g">Generated</b>{when}</figcaption>{generated}</figure>
<figure class="real"><figcaption><b class="d">Real</b> drawn at random from the data</figcaption>{shown}</figure>
{controls}</div>"""


def _controls(entries):
    """The slider, which slider.js shows and moves, and its pictures."""
    last = len(entries) - 1
    pictures_of_it = json.dumps(entries).replace("<", "\\u003c")  # nothing in it may end the element
    return f"""<div id="controls" class="controls" hidden>
<button id="play" type="button">Play</button>
<input id="slider" type="range" min="0" max="{last}" value="{last}" step="1" aria-label="Samples over training">
</div>
<script type="application/json" id="frames">{pictures_of_it}</script>
"""


def _cut(text):
    return escape(clipped(text))


def _image(uri, size, alternative, attributes=""):
    width, height = size
    return f'<img{attributes} src="{uri}" width="{width}" height="{height}" alt="{escape(alternative)}">'

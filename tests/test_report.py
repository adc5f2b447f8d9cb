"""report.html: what it shows, that nothing in a run folder breaks or enters it, and that it needs nothing else."""

import base64
import io
import json
import os
import re
import shutil
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import assert_refused, run_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from minigan import data, doctor, judge, plots, recipes, report, train
from minigan.report import charts, facts, pictures, words
from minigan.settings import default_settings

HEADER = "step,epoch,loss_d,loss_g,d_real,d_fake,seconds"
PROBES = (
    "d_accuracy,d_saturation,gradient_d,gradient_g,diversity,classes_fixed,classes_fresh,entropy_fixed,entropy_fresh,"
    "update_d,update_g"
)
VOID = {"meta", "img", "input"}
HOSTILE = "</script><img src=x onerror=alert(1)>\"'&<b>"


class Page(HTMLParser):
    """The elements of a page in order, with their attributes; every element must be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open  # HTML itself has no such thing
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(text)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())

    @property
    def spaced(self):
        """Its text, with a space between elements."""
        return " ".join(" ".join(self.words).split())

    @property
    def shape(self):
        """What text in it must not change: the elements, and the names of their attributes."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


def read(folder):
    """The report of a folder, written now, checked for what must hold of every report."""
    text = report.write(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert text[:15] == "<!DOCTYPE html>" and page.all("html")[0]["lang"]
    addresses = text.count("http:") + text.count("https:")
    assert addresses == 0
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.findall(r"url\(|@import|@font-face", style)
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "base", "form", "image", "use")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        if tag == "img":
            assert attributes["alt"] and int(attributes["width"]) > 0 and int(attributes["height"]) > 0
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"]
            assert "nan" not in attributes["aria-label"].lower().split()
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert not re.findall(r' (?:d|x|y|x1|y1|cx|cy|width|height)="[^"]{0,9000}?(?:nan|inf)', text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy
    return page


def make(folder, dataset, rows=12, samples=(4, 8, 12), header=HEADER, probe=lambda step: "", **chosen):
    """A run folder as training leaves it, with made-up numbers."""
    (folder / "samples").mkdir(parents=True)
    recipe = recipes.RECIPES[chosen.get("recipe", "chaudhary2024")]
    own = default_settings(recipe, **{"dataset": str(dataset), "batch_size": 8, **chosen})
    config = {**vars(own), "environment": {"minigan": "0.1.0", "machine": "x86_64", "threads": 2}}
    (folder / "config.json").write_text(json.dumps(config))
    lines = [f"{n},1,{1 + 1 / n:.4f},{2 - 1 / n:.4f},0.6,0.3,{n * 0.25}{probe(n)}" for n in range(1, rows + 1)]
    (folder / "metrics.csv").write_text("\n".join([header, *lines]) + "\n")
    for step in samples:
        images = np.random.default_rng(step).integers(0, 4, (recipe.samples, 28, 28), np.uint8) * 80
        plots.save_grid(folder / "samples" / f"step_{step:06d}.png", images)
    return folder


@pytest.fixture
def run(tmp_path, small_dataset):
    return make(tmp_path / "run", small_dataset, epochs=2)


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def frames_of(folder):
    """The slider's pictures, as the page holds them."""
    text = (folder / "report.html").read_text()
    found = re.search(r'<script type="application/json" id="frames">(.*?)</script>', text)
    return json.loads(found[1]) if found else []


def test_a_run_of_the_command_gets_its_report(tmp_path, small_dataset):
    out = tmp_path / "run"
    arguments = "--batch-size 8 --steps 4 --sample-every 2 --lr-d 0.002 --device cpu --quiet".split()
    assert train.main([*arguments, "--dataset", str(small_dataset), "--out", str(out)]) == 0
    process = run_command("minigan.report", out)
    assert process.returncode == 0 and process.stdout == f"{out / 'report.html'}\n" and process.stderr == ""
    page = read(out)
    for part in (
        "chaudhary2024", "trained on the 64 images of", "in batches of 8, for 4 steps (the recipe: 3 epochs)",
        "batch size 8 (4), learning rate of D 0.002 (0.001)", "Complete. All 4 steps in", "Not scored", np.__version__,
        "after step 4", "Chaudhary et al.", "Losses (nats)",
    ):  # fmt: skip
        assert part in page.text
    assert [place[0] for place in frames_of(out)] == ["after step 2 of 4", "after step 4 of 4"]


def test_generated_and_real_images_are_shown_pixel_by_pixel_at_the_same_size(run, small_dataset):
    page = read(run)
    generated, real = page.all("img")
    assert generated["width"] == real["width"] and generated["height"] == real["height"]
    images = np.random.default_rng(12).integers(0, 4, (64, 28, 28), np.uint8) * 80
    assert np.array_equal(decoded(generated["src"]), plots.grid(images))
    first = decoded(real["src"])[2:30, 2:30]
    assert any(np.array_equal(first, image) for image in data.load_images(small_dataset))
    pictures.real.cache_clear()
    assert read(run).all("img")[1]["src"] == real["src"]
    assert (run / "report.html").read_text().count("data:image/png") == 2 + 3


def test_changed_settings_stand_beside_the_recipes(tmp_path, small_dataset):
    page = read(make(tmp_path / "run", small_dataset, rows=3, lr_g=0.1, epochs=2, seed=7, loss="minimax"))
    top = page.text[: page.text.index("Training")]
    assert "recipe's: epochs 2 (3), batch size 8 (4), learning rate of G 0.1 (0.001), G's loss minimax" in top
    assert "recipe: 0.001" in page.text and "ln 1/2 = −0.693" in page.text and "Seed7" in page.text.replace(" ", "")
    page = read(make(tmp_path / "other", small_dataset, rows=3, epochs=2, steps=9))
    assert "for 9 steps (the recipe: 3 epochs)" in page.text and "recipe's: batch size 8 (4)." in page.text


def test_real_images_are_of_all_splits_and_as_many_as_samples(tmp_path, small_dataset):
    page = read(make(tmp_path / "run", small_dataset, recipe="jeganathan2025"))
    assert "the 80 images of" in page.text
    assert [img["width"] for img in page.all("img")] == ["122", "122"]


def test_the_slider_has_few_pictures_evenly_chosen_and_small_ones(run, monkeypatch):
    picture = (run / "samples" / "step_000004.png").read_bytes()
    lines = [HEADER, *(f"{n},1,1,1,.5,.5,{n}" for n in range(1, 201))]
    (run / "metrics.csv").write_text("\n".join(lines) + "\n")
    for step in range(1, 201):
        (run / "samples" / f"step_{step:06d}.png").write_bytes(picture)
    report.write(run)
    steps = [int(re.search(r"\d+", entry[0])[0]) for entry in frames_of(run)]
    assert len(steps) == pictures.MOST_FRAMES and steps[0] == 1 and steps[-1] == 200
    assert set(np.diff(steps)) <= {3, 4}
    monkeypatch.setattr(pictures, "MOST_BYTES", 300_000)
    report.write(run)
    assert (run / "report.html").stat().st_size < 400_000 and len(frames_of(run)) > 5
    monkeypatch.setattr(pictures, "MOST_BYTES", 1)
    read(run)
    assert frames_of(run) == []  # the last one is still there
    assert len(Page((run / "report.html").read_text()).all("img")) == 2


def test_samples_of_steps_that_a_resume_takes_again_are_left_out(run):
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[:10]))
    page = read(run)
    assert "after step 8" in page.text and len(frames_of(run)) == 2
    assert "Not complete. 9 of 16 steps" in page.text


def test_a_full_run_takes_little_time_and_space(tmp_path, small_dataset):
    counts = "6 7 6 7 6 7 6 7 6 6"
    folder = make(
        tmp_path / "run", small_dataset, 45_000, (500,), f"{HEADER},{PROBES}",
        lambda n: f",0.8,0.1,1.5,0.2,0.9,{counts},{counts},2.3,2.29,0.1,0.1" if n % 100 == 0 else "," * 11,
    )  # fmt: skip
    for step in range(1000, 45_001, 500):
        shutil.copy(folder / "samples" / "step_000500.png", folder / "samples" / f"step_{step:06d}.png")
    before = time.process_time()
    report.write(folder)
    assert time.process_time() - before < 4  # half a second to one; a loaded machine is slower
    assert (folder / "report.html").stat().st_size < 5e6
    assert len(frames_of(folder)) == pictures.MOST_FRAMES


def test_probes_are_drawn_where_they_were_measured(tmp_path, small_dataset):
    page = read(run := make(tmp_path / "run", small_dataset))
    assert "Signals" not in page.text and len(page.all("svg")) == 2
    shutil.rmtree(run)
    cells = ",0.8,0.1,1e-{},0.2,0.9,6 7 6 7 6 7 6 7 6 6,{} 0 0 0 0 0 0 0 0 4,2.3,0.2,1e-3,2e-3"
    columns = dict(header=f"{HEADER},{PROBES}", probe=lambda n: "," * 11 if n % 3 else cells.format(n, 5 * n))
    page = read(make(run, small_dataset, **columns))
    assert "measured 4 times" in page.text and len(page.all("svg")) == 2 + 7
    labels = " ".join(svg["aria-label"] for svg in page.all("svg"))
    assert "fresh latents: 0 94%, 1 0%" in labels and "At the end D: 1e-12; G: 0.2" in labels
    assert "Digits drawn at step 12" in page.text
    empty = read(
        make(tmp_path / "fashion", small_dataset, header=f"{HEADER},{PROBES}", probe=lambda n: ",0.8,0.1,1,0.2,0.9,,,,")
    )
    assert len(empty.all("svg")) == 2 + 3


SCORES = {
    "format": 1, "judge": {"version": "1", "sha256": judge.SHA256}, "count": 10000, "seed": 0, "dataset": "mnist",
    "source": {"recipe": "chaudhary2024", "step": 12, "ema": True},
    "rows": {
        row: {metric: {"value": value + place, "low": value + place - 0.1, "high": value + place + 0.1}
              for place, metric in enumerate(words.SCORES)}
        for row, value in (("samples", 3.25), ("real", 1.5), ("noise", 200.0))
    },
    "classes": {row: [0.1] * 9 + [share] for row, share in (("samples", 0.15), ("real", 0.1), ("noise", 0.0))},
}  # fmt: skip


def test_scores_are_shown_with_intervals_and_words(run):
    (run / "scores.json").write_text(json.dumps(SCORES))
    page = read(run)
    assert "Fréchet distance 3.25 (real images 1.5, noise 200; lower is better)" in page.text
    assert "Of 10,000 samples after step 12, drawn by the moving average of G's weights, under judge 1." in page.text
    for name, better, meaning in words.SCORES.values():
        assert name in page.text and better in page.text and meaning in page.text
    assert "3.15 to 3.35" in page.text and "gone on" not in page.text
    assert "samples: 0 10%, 1 10%" in " ".join(svg["aria-label"] for svg in page.all("svg"))
    for changed, words_of in (
        ({"judge": {"version": "1", "sha256": "ab12"}, "dataset": "/fashion"}, "under judge 1 of SHA-256 ab12…."),
        (
            {"dataset": "/fashion"},
            "judge 1, which has learnt MNIST's digits and says little of the images in /fashion.",
        ),
    ):
        (run / "scores.json").write_text(json.dumps({**SCORES, **changed}))
        assert words_of in read(run).text
    (run / "scores.json").write_text(json.dumps({**SCORES, "source": {"step": 5}}))
    text = read(run).text
    assert "The run has since gone on to step 12." in text and "test images, too" not in text
    (run / "scores.json").write_text(json.dumps({**SCORES, "trained_on": ["train", "t10k"]}))
    assert "This run has been trained on the test images, too" in read(run).text


def test_a_score_of_nothing_is_not_a_missing_one(run):
    rows = {"samples": {"recall": {"value": 0.0}, "precision": {"value": 1e400}}, "noise": {"recall": {"value": "3"}}}
    (run / "scores.json").write_text(json.dumps({"rows": rows}))
    page = read(run)
    assert "is every kind of digit drawn? 0 – 3" in page.spaced and "Precision" not in page.text


@pytest.mark.parametrize("broken", [
    [], {"rows": 3}, {"rows": {}}, {"rows": {"samples": 1}}, {"rows": {"samples": {"precision": 1}}},
    {"rows": {"samples": {"precision": {"value": "x"}, "recall": {"value": None}}}},
    {**SCORES, "classes": [1], "source": 3, "judge": [], "count": "many"}, {**SCORES, "classes": {"samples": [1] * 9}},
    {**SCORES, "classes": {"samples": ["a"] * 10, "real": [float("nan")] * 10}},
    {"rows": {"samples": {"precision": {"value": 1e400, "low": 2}, "recall": {"value": 0.5, "low": [], "high": True}}}},
])  # fmt: skip
def test_broken_scores_are_borne(run, broken):
    (run / "scores.json").write_text(json.dumps(broken))
    text = read(run).text
    assert "scores" in text.lower()


@pytest.mark.parametrize("name, content, said", [
    ("config.json", None, "config.json is missing."),
    ("config.json", "{", "config.json cannot be read."),
    ("config.json", "[" * 100_000, "config.json cannot be read."),
    ("config.json", "[1]", "config.json cannot be read."),
    ("config.json", '{"recipe": "other2030", "epochs": "x", "environment": 3}', "other2030"),
    ("config.json", '{"recipe": ["a"], "batch_size": 1, "epochs": 2, "steps": true, "dataset": null}', "['a']"),
    ("metrics.csv", None, "metrics.csv is missing."),
    ("metrics.csv", "", "metrics.csv cannot be read."),
    ("metrics.csv", HEADER + "\n", "No step yet."),
    ("metrics.csv", "a,b\n1,2\n", "metrics.csv is of another program"),
    ("metrics.csv", HEADER + "\n1,1,1,2,.5,.5,1\n2,1,1,2,.5,.5,2\n3,1,1,2,.5,.5,1", "Not complete. 2 of"),
    ("metrics.csv", HEADER + "\n1,1,1,2,.5,.5,1\nrubbish\n,,,,,,\ninf,1,1,1,1,1,1\n0,1,1,1,1,1,1\n3,1,x,2,.5,.5,3\n",
     "has 4 damaged rows"),
    ("metrics.csv", HEADER + "\n1,1,1,2,.5,.5,1\n2,1,nan,2,.5,.5,7\n", "no number any more at step 2, after 7"),
    ("metrics.csv", HEADER + "\n1,1,1,nan,.5,.5,1\n2,1,1,2,.5,.5,7\n", "Step 1 was skipped"),
    ("metrics.csv", HEADER + "\n1,1,nan,nan,nan,nan,nan\n", "Broken. A loss is no number any more at step 1."),
    ("metrics.csv", HEADER + "\n1,1,1e300,-1e300,-5,7,1\n2,1,1e-300,0,0,0,1\n", "Losses (nats)"),
    ("metrics.csv", HEADER + "\n" + "1" * 100_000 + ",1\n", "damaged row"),
    ("metrics.csv", HEADER + '\n1,1,"' + "1" * 200_000 + '",1\n', "cannot be read"),
    ("metrics.csv", HEADER + ",classes_fresh\n1,1,1,1,.5,.5,1,1 2 3\n2,1,1,1,.5,.5,1,a b c d e f g h i j\n", "Losses"),
    ("samples/step_000012.png", "no picture", "after step 8"),
])  # fmt: skip
def test_what_is_missing_or_damaged_is_said(run, name, content, said):
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    text = read(run).text
    assert said in text


def test_without_samples_or_images_the_page_says_so(run):
    shutil.rmtree(run / "samples")
    page = read(run)
    assert "No samples have been drawn yet." in page.text and len(page.all("img")) == 1
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "dataset": "/nowhere"}))
    page = read(run)
    assert "The real images cannot be shown: --dataset /nowhere: no such folder" in page.text and not page.all("img")
    assert "12 steps in" in page.text


def test_pictures_of_others_are_refused(run):
    for name, image in (
        ("step_000012.png", Image.new("L", (5000, 10))),
        ("step_000008.png", Image.new("RGB", (33, 7))),
    ):
        image.save(run / "samples" / name)
    Image.new("L", (8, 8)).save(run / "samples" / "step_000004.png", "BMP")
    assert [img["width"] for img in read(run).all("img")][0] == "33" and frames_of(run) == []  # one alone: no slider


def fill(folder, word):
    """A folder with a stranger's word wherever a word may stand."""
    (folder / "samples").mkdir(exist_ok=True)
    config = {
        "recipe": word,
        "dataset": "/nowhere/" + word,
        "lr_g": word,
        "k" + word: [word],
        "environment": {"e" + word: word},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.csv").write_text(f'{HEADER},"{word.replace(chr(34), chr(34) * 2)}"\n1,1,1,1,1,1,1,2\n')
    scores = {"count": word, "judge": {"version": word}, "source": {"step": word}, word: 1}
    (folder / "scores.json").write_text(
        json.dumps({**scores, "rows": {"samples": {"precision": {"value": 1}, word: 3}}})
    )
    return folder


@given(word=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_changes_the_page_it_stands_in(tmp_path, word):
    plain, hostile = (Page(report.page(facts.read(fill(tmp_path, text)))) for text in ("word", HOSTILE + word))
    assert hostile.shape == plain.shape
    assert read(tmp_path).shape == plain.shape


HEALTHY = ",0.8,0.1,1.5,0.2,0.9,6 7 6 7 6 7 6 7 6 6,6 7 6 7 6 7 6 7 6 6,2.3,2.29,0.01,0.01"


def probed(folder, dataset, cells, every=100):
    """A run of 3,000 steps whose probes all found the same."""
    probe = lambda n: "," * 11 if n % every else cells  # noqa: E731
    return make(folder, dataset, 3000, (), f"{HEADER},{PROBES}", probe)


def test_the_doctors_sentences_are_shown(tmp_path, small_dataset):
    page = read(probed(tmp_path / "healthy", small_dataset, HEALTHY))
    assert "Healthy. The doctor has nothing to report." in page.text and "at none of 30 probes" in page.text
    collapsed = read(probed(tmp_path / "collapsed", small_dataset, HEALTHY.replace(",0.9,", ",0.1,")))
    assert "The doctor: G has collapsed: since step 1,100" in collapsed.text and "Healthy" not in collapsed.text
    assert "Step 1,100 G has collapsed" in collapsed.spaced
    early = read(probed(tmp_path / "early", small_dataset, HEALTHY, every=900))
    assert "Nothing wrong so far. It is too early to see a collapse." in early.text and "Healthy" not in early.text
    assert "Whether G draws few kinds of images cannot be said yet" in early.text
    few = read(probed(tmp_path / "few", small_dataset, HEALTHY, every=2000))
    assert "No diagnosis yet: 1 probe of" in few.text and "Healthy" not in few.text
    partial = read(probed(tmp_path / "partial", small_dataset, HEALTHY.replace(",0.01,0.01", ",,")))
    assert "The doctor cannot make sense of the signals" in partial.text and "Diversity" in partial.text


def test_without_probes_the_doctor_still_names_a_loss_that_is_no_number(run):
    assert "No diagnosis yet: 0 probes of" in read(run).text
    with open(run / "metrics.csv", "a") as file:
        file.write("13,1,nan,2,0.5,0.5,9\n")
    assert "The doctor: The loss of D is no number after step 13" in read(run).text


def test_the_map_of_classes_has_a_column_where_its_steps_are():
    steps = np.array([100, 200, 300, 1000])  # probed more rarely from some time on
    svg = charts.class_map(steps, np.eye(10)[[0, 1, 2, 3]], "a map")
    cells = re.findall(r'<rect class="cell" x="([\d.]+)"[^>]* width="([\d.]+)"', svg)
    (a, _), (b, _), (c, long), (d, _) = sorted((float(left), float(width)) for left, width in cells)
    assert b - a == pytest.approx(c - b, abs=0.2) and d - c == pytest.approx(7 * (b - a), rel=0.02)
    assert long == pytest.approx(d - c, abs=1)


def test_a_hostile_finding_and_folder_name_are_escaped(tmp_path, small_dataset, monkeypatch):
    run = make(tmp_path / "<b>&'x", small_dataset)
    finding = doctor.Finding(7, "d_wins", f"D wins: {HOSTILE}")
    monkeypatch.setattr(doctor.Doctor, "findings", [finding, finding])
    page = read(run)
    assert f"The doctor: D wins: {HOSTILE}" in page.text and "1 more finding" in page.text and "Step 7" in page.text
    assert len(page.all("script")) == 2 and "<b>&'x" in page.text


def test_long_words_are_cut(run):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "recipe": "a" * 10_000, "x": 10**4000, "y": ["z" * 10_000]}))
    assert len(read(run).text) < 8000


@pytest.mark.parametrize("arguments, parts", [
    (["nowhere"], ["nowhere is no folder"]), (["."], ["holds no run"]), ([""], ["the path is empty"]),
    ([], ["RUN_FOLDER"]),
])  # fmt: skip
def test_bad_input_gets_one_line(tmp_path, arguments, parts):
    assert_refused(run_command("minigan.report", *arguments, cwd=tmp_path), *parts)


def test_the_old_report_stays_where_a_new_one_cannot_be_written(run):
    report.write(run)
    (run / "report.html").write_text("old")
    (run / f"report.html.{os.getpid()}.tmp").mkdir()
    assert_refused(run_command("minigan.report", run), "report.html.")
    assert (run / "report.html").read_text() == "old"


def test_writing_leaves_random_numbers_alone(run):
    np.random.seed(3)
    expected = np.random.random(3).tolist()
    np.random.seed(3)
    report.write(run)
    assert np.random.random(3).tolist() == expected


def test_thinning_averages_what_is_finite():
    x, y = np.arange(1.0, 1001.0), np.arange(1.0, 1001.0) ** 2
    y[7], y[500:600] = np.inf, np.nan
    steps, mean, low, high = charts.thin(x, y)
    assert len(steps) == 200 and charts.rows_a_point(1000) == 5
    np.testing.assert_allclose(steps[:2], [3, 8])
    np.testing.assert_allclose(mean[0], np.mean([1, 4, 9, 16, 25]))
    np.testing.assert_allclose(mean[1], np.mean([36, 49, 81, 100]))
    assert np.isnan(mean[100:120]).all() and np.isfinite(mean[120:]).all()
    np.testing.assert_allclose((low[0], high[0]), np.percentile([1, 4, 9, 16, 25], (10, 90)))


@pytest.mark.parametrize("values, log", [
    (np.full(900, 0.7), False), (np.r_[np.ones(900), 1e9], False), (np.linspace(-5, 5, 900), False),
    (np.zeros(1), False), (np.geomspace(1e-30, 1e3, 900), True), (np.zeros(900), True), (np.full(900, np.nan), False),
])  # fmt: skip
def test_lines_stay_inside_their_chart(values, log):
    svg, cut = charts.lines([("d", np.arange(1, len(values) + 1), values)], "a chart", log=log)
    pairs = [pair.split() for d in re.findall(r'd="M([^"]*)"', svg) for pair in d.rstrip("Z").split("L")]
    x, y = np.array(pairs, float).T if pairs else (np.array([100.0]), np.array([100.0]))
    assert x.min() >= charts.LEFT and x.max() <= charts.WIDTH - charts.RIGHT
    assert y.min() >= charts.TOP and y.max() <= charts.HEIGHT - charts.BOTTOM
    assert svg.count("<text") < 20 and cut == (values[-1] == 1e9)


@given(st.lists(st.floats(), min_size=1, max_size=20), st.booleans(), st.sampled_from([None, 1.0]), st.integers(1, 400))
def test_any_numbers_can_be_drawn(values, log, reference, times):
    values = np.array(values * times)
    svg, _ = charts.lines([("d", np.arange(len(values)), values)] * 2, "a", reference=reference, log=log)
    assert "nan" not in svg and "inf" not in svg and svg.count("<text") < 40
    figures = [float(figure) for figure in re.findall(r' (?:x|y|x1|y1|x2|y2|cx|cy)="([^"]*)"', svg)]
    assert min(figures) >= 0 and max(figures) <= charts.WIDTH


def test_ticks_are_round_numbers():
    assert charts.ticks(0, 45_000, 5) == [0, 10_000, 20_000, 30_000, 40_000]
    np.testing.assert_allclose(charts.ticks(0, 1, 5), [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert charts.ticks(1, 3, 5, 1) == [1, 2, 3]
    assert charts.ticks(-7, 1, 5, 1) == [-6, -4, -2, 0]


@pytest.mark.parametrize("seconds, text", [(3.21, "3.2 s"), (75, "75 s"), (183.2, "3 min 3 s"), (119.9, "2 min 0 s"),
                                            (3599.9, "1 h 0 min"), (55_000, "15 h 17 min")])  # fmt: skip
def test_times_in_words(seconds, text):
    assert words.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text

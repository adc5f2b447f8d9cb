"""How good generated images are: every score of `metrics.py`, beside real test images and noise measured the same way.

Features and probabilities are those of the judge (`judge.py`). A score means little alone: the real test images show what
is possible, noise what is nothing. Only scores of one judge, one data set and one number of images can be compared.
"""

import hashlib

import numpy as np

from minigan import data, judge, metrics
from minigan.errors import UserError

FORMAT = 1  # of the dict that `evaluate` returns
COUNT = 10_000  # images, unless told otherwise
LEAST_IMAGES, MOST_IMAGES = metrics.DENSITY_K + 1, 100_000
NOISE = 2_000  # images of it at most: one is as bad as the other
NEIGHBOURHOOD = 10_000  # images at most of each set, where neighbours in the judge's features are sought
METRICS = (
    "frechet_distance", "inception_score", "precision", "recall", "density", "coverage", "class_kl", "nearest_distance",
)  # fmt: skip
ROWS = ("samples", "real", "noise")

# Where `sentences` begins to warn, as a share of what real images have.
RARE, COLLAPSED, MEMORISED = 0.2, 0.5, 0.75
# MNIST's ones, which are much alike, are at 0.42 of the mean distance. Above this KL of the class shares, that may be why
# images are near, unless they are nearer still.
FEW_CLASSES, MEMORISED_OF_FEW = 0.3, 0.35

# What takes time, in units of an image judged: for the bar's time left.
_NEAREST = 10 / 60_000  # an image compared with one that was trained on
_NEIGHBOURS = 0.6 / 10_000  # an image compared with one in the judge's features
_DRAW = 100 / 10_000  # an image in one sample drawn again


class Reference:
    """The real images of a data set under a judge: what any number of sets of generated images are measured against.

    dataset: as in `data.load_images`. judged_by: a `judge.Judge`, by default the one shipped. The training images are
    judged once, by `prepare`. Raises UserError for a data set with fewer than 6 training or test images.
    """

    def __init__(self, dataset="mnist", judged_by=None, device="cpu"):
        self.judge = judge.load() if judged_by is None else judged_by
        self.dataset, self.device = str(dataset), device
        self.images = {split: data.load_images(dataset, (split,)) for split in ("train", "t10k")}
        for split, images in self.images.items():
            if len(images) < LEAST_IMAGES:
                raise UserError(f"--dataset {dataset} has {len(images)} {split} images: the scores need {LEAST_IMAGES}")
        self.neighbourhood = min(len(self.images["train"]), NEIGHBOURHOOD)
        self.gaussian = self.shares = self.manifold = None
        self._rows = {}

    def prepare(self, progress=None):
        """Judges the training images, unless that is done. progress(units): told how much of `units` has been."""
        if self.manifold:
            return
        features, probabilities = self.embed(self.images["train"], progress)
        self.gaussian = metrics.Gaussian(features)
        classes = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
        self.shares = (classes + 1) / (classes + 1).sum()  # one more of each: a class without any would mean infinity
        # Any, but always the same.
        chosen = np.random.default_rng(0).permutation(len(features))[: self.neighbourhood]
        self.manifold = metrics.Manifold(features[chosen], _scaled(progress, _NEIGHBOURS * len(chosen) ** 2))

    def counts(self, count):
        """How many images there are in each row, where so many are scored."""
        return {"samples": count, "real": min(count, len(self.images["t10k"])), "noise": min(count, NOISE)}

    def units(self, count, splits=("train",)):
        """How much progress `evaluate` makes with so many images."""
        training = len(self.images["train"])
        trained_on = sum(len(self.images[split]) for split in splits)
        units = 0 if self.manifold else training + _NEIGHBOURS * self.neighbourhood**2
        for images in self.counts(count).values():
            few = min(images, NEIGHBOURHOOD)
            units += images * (1 + _NEAREST * trained_on + _DRAW * metrics.DRAWS)
            units += _NEIGHBOURS * few * (few + self.neighbourhood)
        return units

    def embed(self, images, progress=None):
        """(features, probabilities) of images, uint8 (N, 28, 28), under the judge."""
        parts = []
        for start in range(0, len(images), 10 * judge.BATCH):
            part = images[start : start + 10 * judge.BATCH]
            parts.append(judge.embed(self.judge, part, self.device, quiet=True))
            if progress:
                progress(len(part))
        return tuple(np.concatenate(arrays) for arrays in zip(*parts))

    def score(self, images, seed=0, splits=("train",), skip=None, progress=None):
        """({metric: Estimate}, the shares of the classes) of images, uint8 (N, 28, 28).

        splits: what the generator was trained on, where the nearest image is sought, in pixels from 0 to 1. skip: for
        each image its own index there, if it is one of them. seed: of the intervals. Raises UserError for fewer than 6
        or more than 100,000 images.
        """
        check_count(len(images))
        self.prepare()
        rng = np.random.default_rng(seed)
        features, probabilities = self.embed(images, progress)
        classes = probabilities.argmax(1)
        few = features[:NEIGHBOURHOOD]
        manifold = metrics.Manifold(few, _scaled(progress, _NEIGHBOURS * len(few) ** 2))
        product = _NEIGHBOURS * len(few) * self.neighbourhood
        trained_on = _pixels(np.concatenate([self.images[split] for split in splits]))
        distances = metrics.nearest_distances(
            _pixels(images), trained_on, skip, _scaled(progress, _NEAREST * len(images) * len(trained_on))
        )
        count, kinds = len(images), probabilities.shape[1]
        drawing = _scaled(progress, _DRAW * count * metrics.DRAWS)

        def frechet_distance(rows):
            return metrics.frechet_distance(self.gaussian, metrics.Gaussian(features[rows]))

        def class_kl(rows):
            return metrics.class_divergence(metrics.class_shares(classes[rows], kinds), self.shares)

        found = {
            "frechet_distance": metrics.bootstrap(frechet_distance, count, rng, progress=drawing),
            "inception_score": metrics.bootstrap(
                lambda rows: metrics.inception_score(probabilities[rows]), count, rng, 1.0, kinds
            ),
            **metrics.neighbour_scores(self.manifold, manifold, rng, _scaled(progress, product)),
            "class_kl": metrics.bootstrap(class_kl, count, rng),
            "nearest_distance": metrics.bootstrap(lambda rows: distances[rows].mean(), count, rng),
        }
        return found, metrics.class_shares(classes, kinds)

    def real(self, count, seed=0, splits=("train",), progress=None):
        """`score` of so many of the test images, drawn without replacement: the ceiling.

        Where they are among the images trained on, each is compared with the others of those.
        """
        test = self.images["t10k"]
        chosen = np.random.default_rng([seed, 1]).permutation(len(test))[:count]
        skip = None
        if "t10k" in splits:
            skip = chosen + sum(len(self.images[split]) for split in splits[: splits.index("t10k")])
        return self._kept(("real", count, seed, splits), test[chosen], seed, splits, skip, progress)

    def noise(self, count, seed=0, splits=("train",), progress=None):
        """`score` of so many images of uniform noise: the floor."""
        images = np.random.default_rng([seed, 2]).integers(0, 256, (count, data.SIDE, data.SIDE), np.uint8)
        return self._kept(("noise", count, seed, splits), images, seed, splits, None, progress)

    def _kept(self, key, images, seed, splits, skip, progress):
        """score(...), which is kept: the same rows stand beside all sets of so many generated images."""
        if key not in self._rows:
            self._rows[key] = self.score(images, seed, splits, skip, progress)
        return self._rows[key]


def evaluate(reference, images, source, seed=0, splits=("train",), progress=None):
    """The scores of images, uint8 (N, 28, 28), beside real ones and noise, as `--json` prints them.

    source: where they are from: {"file": ...}, or {"recipe": ..., "step": ..., "ema": ..., "images_sha256": of the images
    trained on}. The real row has as many images, or all test images where there are not so many, the noise row 2,000 at
    most.

        {"format": 1, "judge": {"version", "sha256"}, "count": N, "seed": seed, "dataset": name, "source": source,
         "images_sha256": of the real images that the generator's are compared with one by one,
         "rows": {"samples": {metric: {"value", "low", "high"}}, "real": ..., "noise": ...},
         "counts": {"samples": N, "real": ..., "noise": ...}, "trained_on": [the splits],
         "classes": {"samples": [ten shares], "real": ..., "noise": ...}}
    """
    reference.prepare(progress)
    counts = reference.counts(len(images))
    scores = {
        "samples": reference.score(images, seed, splits, progress=progress),
        "real": reference.real(counts["real"], seed, splits, progress),
        "noise": reference.noise(counts["noise"], seed, splits, progress),
    }
    return {
        "format": FORMAT,
        "judge": {"version": reference.judge.version, "sha256": reference.judge.sha256},
        "count": len(images),
        "seed": seed,
        "dataset": reference.dataset,
        "images_sha256": hashlib.sha256(np.concatenate([reference.images[split] for split in splits])).hexdigest(),
        "source": source,
        "trained_on": list(splits),
        "counts": counts,
        "rows": {name: {m: found[m]._asdict() for m in METRICS} for name, (found, _) in scores.items()},
        "classes": {name: [float(share) for share in shares] for name, (_, shares) in scores.items()},
    }


def check_count(count):
    """Raises UserError for a number of images that cannot be scored."""
    if not LEAST_IMAGES <= count <= MOST_IMAGES:
        raise UserError(f"--count {count}: the scores take {LEAST_IMAGES} to {MOST_IMAGES:,} images")


def _pixels(images):
    """Images (N, 28, 28) as float32 (N, 784) from 0 to 1."""
    return images.reshape(len(images), -1) / np.float32(255)


def _scaled(progress, units):
    """A function of shares that tells progress of them in units, or None."""
    return progress and (lambda share: progress(share * units))


def is_foreign(result):
    """Whether the shipped judge, which has learnt MNIST's digits, judged another data set."""
    return result["dataset"] != "mnist" and result["judge"]["sha256"] == judge.SHA256


def sentences(result):
    """What the dict of `evaluate` says, in plain words: a list of sentences."""
    samples, real = ({name: cell["value"] for name, cell in result["rows"][row].items()} for row in ("samples", "real"))
    noun = "digits" if result["dataset"] == "mnist" else "images"
    return [
        f"Inception Score {samples['inception_score']:.2f} of at most {len(result['classes']['samples'])} "
        f"(real {noun}: {real['inception_score']:.2f}).",
        _on_classes(result),
        f"Of 100 generated images {100 * samples['precision']:.0f} are like real ones to the judge (of real ones: "
        f"{100 * real['precision']:.0f}); of 100 real ones {100 * samples['recall']:.0f} are like generated ones (real ones: "
        f"{100 * real['recall']:.0f}).",
        *_warnings(samples, real),
    ]


def _on_classes(result):
    """Which classes are missing, or rare beside the real images."""
    shares, real = np.array(result["classes"]["samples"]), np.array(result["classes"]["real"])
    noun, nouns = ("digit", "digits") if result["dataset"] == "mnist" else ("class", "classes")
    most, least = shares.argmax(), shares.argmin()
    missing = [str(number) for number in np.flatnonzero((shares == 0) & (real > 0))]
    rare = [str(number) for number in np.flatnonzero((shares > 0) & (shares < RARE * real))]
    found = f"the most frequent is {most} ({shares[most]:.0%})"
    if missing or rare:
        lacks = [
            f"{what} {nouns}: {', '.join(which)}" for what, which in (("missing", missing), ("rare", rare)) if which
        ]
        return f"{'; '.join(lacks).capitalize()}; {found}."
    if shares[least] == 0:
        return f"{result['count']} images are too few to say whether a {noun} is missing; {found}."
    return f"No {noun} is missing; {found}, the least {least} ({shares[least]:.0%})."


def _warnings(samples, real):
    if samples["recall"] < COLLAPSED * real["recall"] and samples["precision"] > COLLAPSED * real["precision"]:
        yield "Like real ones, but few kinds of them: a sign of mode collapse."
    near = MEMORISED if samples["class_kl"] < FEW_CLASSES else MEMORISED_OF_FEW
    if samples["nearest_distance"] < near * real["nearest_distance"]:
        yield (
            f"They are much nearer to images trained on ({samples['nearest_distance']:.2f}) than real ones are "
            f"({real['nearest_distance']:.2f}): a sign of memorisation."
        )

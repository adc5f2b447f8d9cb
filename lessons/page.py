"""What every lesson needs to be a page: figures with a text alternative, and a length to run at.

Run as a script, a lesson saves its figures as PNG files in `runs/lessons/`; in a notebook, and in the
book, they appear where they are drawn. Nothing here is about GANs.
"""

import base64
import html
import io
import os
import sys
from pathlib import Path

import matplotlib
from matplotlib import pyplot

FOLDER = Path("runs") / "lessons"
LENGTHS = ("short", "normal", "full")

_drawn = 0  # figures so far


def _in_notebook():
    return "ipykernel" in sys.modules


def _chosen_length():
    """From --short or --full on the command line, else from the variable LESSONS (the book and the tests set it)."""
    flags = [] if _in_notebook() else [a.removeprefix("--") for a in sys.argv[1:]]
    length = flags[0] if flags else os.environ.get("LESSONS", "normal")
    if length not in LENGTHS or len(flags) > 1:
        print(
            f"usage: python {sys.argv[0]} [--short | --full], not {' '.join(sys.argv[1:]) or length}", file=sys.stderr
        )
        raise SystemExit(2)
    return length


LENGTH = _chosen_length()
if not _in_notebook():
    matplotlib.use("Agg")


def length(normal, short, full=None):
    """One of the three: `normal` for a reader, `short` for the tests, `full`, if given, for the paper's own size."""
    return {"normal": normal, "short": short, "full": normal if full is None else full}[LENGTH]


def show(figure, alt):
    """Shows a matplotlib figure. alt: what it shows, in words, for a reader who cannot see it."""
    global _drawn
    _drawn += 1
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    if _in_notebook():
        from IPython.display import HTML, display

        data = base64.b64encode(png.getvalue()).decode()
        display(
            HTML(
                f'<img src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}" style="max-width: 100%">'
            )
        )
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{Path(sys.argv[0]).stem}_{_drawn}.png"
    path.write_bytes(png.getvalue())
    print(f"[{path}] {alt}" + (" (at its normal length)" if LENGTH == "short" else ""))

"""report.html of a run folder: one file that any browser opens without a network, for a person to look at.

`facts` reads the folder, `pictures` and `charts` draw, `top` and `sections` put it into `words`; the page's frame, its
colours and its slider are page.html, style.css and slider.js. Nothing here touches a run in memory.
"""

import base64
import hashlib
import string
from html import escape
from pathlib import Path

from minigan import files
from minigan.report import facts, sections


def write(folder):
    """Writes report.html from what lies in a run's folder, replacing an older one whole. Returns its path.

    Raises UserError where there is no run in the folder, OSError where it cannot be written.
    """
    run = facts.read(folder)
    path = run.folder / "report.html"
    files.write_atomically(path, page(run).encode("utf-8", "replace"))
    return path


def page(run):
    """The whole page of a run's `facts.Facts`, as text."""
    style, script = _file("style.css"), _file("slider.js")
    return string.Template(_file("page.html")).substitute(
        title=escape(sections.title(run)),
        # The browser is told to load nothing and to run only this script: a second wall behind the escaping.
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}",
        style=style,
        script=script,
        body=sections.body(run),
    )


def _file(name):
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(text):
    """The text's digest as a content security policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

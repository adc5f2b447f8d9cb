"""The book: `python -m sphinx lessons runs/book` runs every lesson and renders them all as static HTML pages.

Sphinx reads this file. The pages need no network: formulas are MathML, figures are inside the pages.
"""

import os
import re

import latex2mathml.converter
from docutils import nodes

project = "minigan: lessons"
author = "the authors of minigan"
copyright = author  # no year: the same pages from the same lessons
language = "en"
extensions = ["myst_nb"]
exclude_patterns = [
    "conf.py",
    "page.py",
    "exercises/**",
    "instructor/**",
    "figures/**",
]  # instructor.md includes its pages
suppress_warnings = ["mystnb.unknown_mime_type"]

# Lessons are scripts in the percent format; jupytext reads them as notebooks.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell
nb_output_stderr = "remove"  # progress bars
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
os.environ.setdefault("LESSONS", "normal")

html_theme = "sphinx_book_theme"
html_title = "minigan, lesson by lesson"
html_theme_options = {
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # one search field is enough
}
html_static_path = ["book.css"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"


def formula(writer, node, display):
    """Writes a formula in LaTeX as MathML, which browsers and screen readers know, instead of loading a script."""
    mathml = latex2mathml.converter.convert(node.astext(), display=display)
    mathml = re.sub(r"(<mi>[a-z]{2,}</mi>)(?=<m[in]>)", r'\1<mspace width="0.17em"/>', mathml)  # log 2, not log2
    writer.body.append(mathml if display == "inline" else f'<div class="formula">{mathml}</div>')
    raise nodes.SkipNode


def setup(app):
    """Registers the way formulas are written."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda writer, node: formula(writer, node, "inline"), None),
        block_renderers=(lambda writer, node: formula(writer, node, "block"), None),
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}

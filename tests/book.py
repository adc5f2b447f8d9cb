"""python tests/book.py FOLDER: is every page of the built book whole?

Every figure has a text alternative and its file, every link between pages leads somewhere, no cell ended in an error,
and nothing is loaded from another machine. Prints the figures; exit code 1 for a page that is broken.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WORDS = 6  # that a text alternative has at least
OWN = ("genindex.html", "search.html")  # of the tool, not of the lessons


class Page(HTMLParser):
    """What a page holds and points to."""

    def __init__(self, path):
        super().__init__()
        self.path, self.ids, self.links, self.sources, self.images, self.errors = path, set(), [], [], [], []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids.update({a["id"]} if a.get("id") else ())
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if tag == "img":
            self.images.append((a.get("src") or "", a.get("alt") or ""))
        if tag in ("script", "img", "iframe") and a.get("src"):
            self.sources.append(a["src"])
        if tag == "link" and a.get("href") and a.get("rel") in ("stylesheet", "icon", "preload"):
            self.sources.append(a["href"])
        if "traceback" in (a.get("class") or "").split() or "cell_output stderr" in (a.get("class") or ""):
            self.errors.append(a["class"])


def problems(folder):
    """(number of pages, number of figures, sentences about what is broken) of a built book."""
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts}
    found, figures = [], 0
    for path, page in pages.items():
        name = path.relative_to(folder)
        found += [f"{name}: a cell ended in an error" for _ in page.errors]
        for source in page.sources:
            if source.startswith("data:"):
                continue
            if urlsplit(source).scheme or source.startswith("//"):
                found.append(f"{name} loads {source}")
            elif not (path.parent / unquote(urlsplit(source).path)).exists():
                found.append(f"{name}: there is no {source}")
        for source, alt in page.images:
            figures += 1
            if len(alt.split()) < WORDS:
                found.append(f"{name}: the figure {source[:40]} has the text alternative {alt!r}")
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or str(name) in OWN:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                found.append(f"{name}: the link {link} leads nowhere")
            elif parts.fragment and target.suffix == ".html":
                known = {p.resolve(): q for p, q in pages.items()}.get(target)
                if known and unquote(parts.fragment) not in known.ids:
                    found.append(f"{name}: there is no {link}")
    return len(pages), figures, found


def main():
    """The command. Returns its exit code."""
    folder = Path(sys.argv[1])
    pages, figures, found = problems(folder)
    lessons = list(folder.glob("[0-9][0-9]_*.html"))
    print("\n".join(found))
    print(f"{pages} pages, {len(lessons)} lessons, {figures} figures, {len(found)} problems")
    return 0 if lessons and figures >= len(lessons) and not found else 1


if __name__ == "__main__":
    sys.exit(main())

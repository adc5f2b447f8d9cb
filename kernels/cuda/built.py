"""Files that a compiler made of the `.cu` sources, kept in the user's cache folder for the next start."""

import hashlib
import os
import tempfile
from pathlib import Path


def path_of(kind, ending, *made_from):
    """Where the file made from these (code, options, compiler) is, or is to be; `kind` names the folder."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan" / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(repr(made_from).encode()).hexdigest()[:32]}.{ending}"


def keep(path, content):
    """Writes the file so that other processes see all of it or nothing."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.replace(file.name, path)

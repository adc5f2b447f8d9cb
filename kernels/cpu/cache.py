"""Forgets compiled kernels when any source file here has changed.

Numba's cache notices an edit of the file that holds a kernel, but not of a file whose functions the
kernel calls: an edited tile.py would leave the convolutions as they were.
"""

import contextlib
import hashlib
from pathlib import Path


def drop_stale(folder):
    """Deletes Numba's cache files in `folder`/__pycache__ unless they belong to the sources as they are now."""
    folder = Path(folder)
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
    record = folder / "__pycache__" / "compiled-from.sha256"
    with contextlib.suppress(OSError):  # a folder that cannot be written has no cache in it
        if record.exists() and record.read_text() == digest:
            return
        for compiled in (*record.parent.glob("*.nbi"), *record.parent.glob("*.nbc")):
            compiled.unlink(missing_ok=True)
        record.parent.mkdir(exist_ok=True)
        record.write_text(digest)

"""Forgets compiled kernels when any source file here has changed.

Numba's cache notices an edit of the file that holds a kernel, but not of a file whose functions the
kernel calls: an edited tile.py would leave the convolutions as they were.
"""

import contextlib
import hashlib
from pathlib import Path

from numba.core.caching import CompileResultCacheImpl


def drop_stale(folder):
    """Deletes what Numba has cached of the kernels in `folder` unless it belongs to the sources as they are now."""
    sources = sorted(Path(folder).glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    cached = _cache_folder(sources[0])
    if cached is None:
        return
    record = cached / "compiled-from.sha256"
    with contextlib.suppress(OSError):
        if record.exists() and record.read_text() == digest:
            return
        for compiled in (*cached.glob("*.nbi"), *cached.glob("*.nbc")):
            compiled.unlink(missing_ok=True)
        cached.mkdir(parents=True, exist_ok=True)
        record.write_text(digest)


def _cache_folder(source):
    """Where Numba caches the functions of a file: beside it, in NUMBA_CACHE_DIR, or in the user's own cache folder."""
    for locator_class in CompileResultCacheImpl._locator_classes:  # in Numba's order of preference
        locator = locator_class.from_function(drop_stale, str(source))
        if locator is not None:
            return Path(locator.get_cache_path())
    return None

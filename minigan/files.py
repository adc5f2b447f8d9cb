"""Files read with care, files that are there whole or not at all, and a folder that one process at a time writes.

Whatever kills the process, or however full the disk, a reader finds the old content or the new. That a file's content
is synced before it is renamed, and the folder after, is what makes it hold for a power cut, too (Pillai et al., "All
File Systems Are Not Created Equal", OSDI 2014).
"""

import contextlib
import errno
import os
import re
from pathlib import Path

from minigan.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, nobody is kept out
    fcntl = None

LOCK = ".lock"


def read(path, what, most_bytes):
    """The bytes of a file that may come from anywhere.

    Raises UserError, which calls the file `what`, for what is no file or larger, and where it cannot be read; that of a
    file that is not there has the FileNotFoundError as its cause.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # reading a device or a pipe might never end
            raise UserError(f"cannot read the {what} {path}: it is not a file")
        if path.stat().st_size > most_bytes:
            raise UserError(f"cannot read the {what} {path}: it is larger than any ({most_bytes >> 20} MiB)")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the {what} {path}: {getattr(error, 'strerror', None) or error}") from error


def write_atomically(path, content, before_rename=lambda: None):
    """Bytes to a temporary file beside `path`, synced to the disk, then renamed over it.

    before_rename: called when the new content is safe on the disk and the old file still in place.
    Raises OSError where that fails; then `path` is as it was, and the temporary file gone.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another process may be writing the same file
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        before_rename()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def remove_leftovers(folder):
    """Removes the temporary files of `write_atomically` that processes which are gone have left in the folder."""
    for path in Path(folder).glob("*.tmp"):
        named = re.fullmatch(r".*\.([0-9]{1,9})\.tmp", path.name, re.DOTALL)
        if named and not _is_running(int(named[1])):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(process):
    """Whether another process has this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return process != os.getpid()


def sync_folder(path):
    """Makes the folder's own entries (a rename, a new name) lasting. Raises OSError where that fails."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def locked(folder):
    """Inside the block no other process is in such a block for the same folder, which must exist.

    The lock is the operating system's (flock) on a file in the folder that is there only so long: it ends with its
    process, however that ends. The block is given a function that raises UserError where the folder has been replaced by
    another meanwhile. Raises UserError where another process holds the lock, or nothing can be written.
    """
    path = Path(folder) / LOCK
    try:
        file = _locked_file(path, folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}") from None

    def check():
        if fcntl and not _is_at(file, path):
            raise UserError(f"{folder} has been moved, removed or replaced while the training wrote there")

    with file:
        try:
            yield check
        finally:
            with contextlib.suppress(OSError):
                if _is_at(file, path):
                    path.unlink()


def _locked_file(path, folder):
    if not fcntl:
        return open(os.devnull)
    while True:
        file = open(path, "a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                return file  # on a file system without locks (some network ones) training is better than not training
            with file:
                file.seek(0)
                holder = file.read(20).strip()
            process = f"process {holder}" if holder.isdigit() else "another process"
            raise UserError(
                f"{process} is training in {folder}: wait for it, stop it, or choose another --out"
            ) from None
        if _is_at(file, path):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return file
        file.close()  # whoever held it has removed it in the meantime


def _is_at(file, path):
    """Whether the open file is still the one at the path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False

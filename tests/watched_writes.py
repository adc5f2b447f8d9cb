"""A look at every act by which a process changes files, and a place to let one of them go wrong."""

import builtins
import os

ACTS = ("fsync", "replace", "rename", "link", "unlink")  # of the module os; a file's writes and flushes besides


class Writes:
    """Inside the block every act that changes a file is named in `.names`; the act number `last` meets the fault `act()`.

    act: called before the act, or after the first half of what is to be written.
    """

    def __init__(self, last=0, act=None):
        self.last, self.act, self.names = last, act, []

    def __enter__(self):
        self._before = {name: getattr(os, name) for name in ACTS}
        for name, function in self._before.items():
            setattr(os, name, self._watched(name, function))
        self._open, builtins.open = builtins.open, self._opened
        return self

    def __exit__(self, *exception):
        builtins.open = self._open
        for name, function in self._before.items():
            setattr(os, name, function)

    def begins(self, name, first_half=lambda: None):
        """Notes an act that is about to happen."""
        self.names.append(name)
        if len(self.names) == self.last:
            first_half()
            self.act()

    def _watched(self, name, function):
        def call(*arguments, **options):
            self.begins(name)
            return function(*arguments, **options)

        return call

    def _opened(self, path, mode="r", *arguments, **options):
        file = self._open(path, mode, *arguments, **options)
        return WatchedFile(file, self) if set(mode) & set("wa") and not isinstance(path, int) else file


class WatchedFile:
    """A file being written: its flushes, and its writes but for text, which stays in a buffer, are told to a Writes."""

    def __init__(self, file, writes):
        self._file, self._writes = file, writes

    def write(self, content):
        if isinstance(content, str):
            return self._file.write(content)
        half = len(content) // 2

        def first_half():
            self._file.write(content[:half])
            self._file.flush()

        before = self._file.tell()
        self._writes.begins("write", first_half)
        return self._file.write(content[self._file.tell() - before :])

    def flush(self):
        self._writes.begins("flush")
        self._file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

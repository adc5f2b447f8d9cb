"""The two errors a user is meant to read: a mistake in a call, and a mistake on the command line."""


class ShapeError(ValueError):
    """Arrays whose shapes do not fit; the message names the layer, the shapes, the formula and the fix."""


class UserError(Exception):
    """Bad input to a command: one line that names the fix. Commands print it and exit with code 2."""

"""The function that hostile pickles call: a reader that runs code of a file is seen by what is sung here."""

songs = []


def sing(*arguments, **named):
    """Notes that it was called."""
    songs.append((arguments, named))


class Bird:
    """Notes that it was made, given a state or handed items, whichever way a pickle does that."""

    def __new__(cls, *arguments, **named):
        sing(*arguments, **named)
        return super().__new__(cls)

    def __setstate__(self, state):
        sing(state)

    def __setitem__(self, key, value):
        sing(key, value)

    def append(self, item):
        """Notes the item."""
        sing(item)

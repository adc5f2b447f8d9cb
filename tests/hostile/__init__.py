"""Hostile and broken files, and the promise that every reader of minigan keeps about them: see ../fuzz.py."""

"""Runs checks on a student's file: what a check is, how answers are compared, and where the file runs.

Read in this order: `check.py`, `compare.py`, `student.py` (loading, and what may be imported), `writes.py`,
`worker.py` (the process it runs in), `report.py`.
"""

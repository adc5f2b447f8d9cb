"""Runs checks on a student's file: what a check is, how answers are compared, and where the file runs.

Read in this order: `check.py`, `compare.py`, `imports.py`, `student.py`, `writes.py`,
`worker.py` (the process it runs in), `report.py`.
"""

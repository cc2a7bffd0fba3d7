"""Measured side by side with peers, in one run on one machine: `python -m benchmarks [NAME ...]`.

A benchmark is one file with one noun as its name (`rows.py`, `exports.py`) and a function `run`.
Around them: `server.py` starts and ends the processes under test and reads what they cost,
`reader.py` is the client, `contest.py` takes turns, `figures.py` and `report.py` turn what was
measured into medians, ratios, a table and JSON.
"""

from __future__ import annotations

__all__: list[str] = []

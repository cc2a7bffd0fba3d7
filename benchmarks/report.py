"""What a benchmark found, for people as a table and for programs as JSON."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from .figures import Summary

__all__ = ["Report", "Table", "machine", "save", "shown", "spread", "table_text"]

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text. The first column is to the left, the others are figures, to the right."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Report:
    """`notes` are sentences below the tables: goals, and what could not be measured. `data` is what the JSON holds."""

    name: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)


def spread(summary: Summary, *, scale: float = 1, digits: int = 2) -> str:
    """`median (lower quartile-upper quartile)`."""
    middle, low, high = (f"{value * scale:.{digits}f}" for value in (summary.median, summary.low, summary.high))
    return f"{middle} ({low}-{high})"


def table_text(table: Table) -> str:
    """The table in columns of equal width, ruled below its headings."""
    lines = [list(table.headings), *(list(row) for row in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.headings))]

    def aligned(line: Iterable[str]) -> str:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([table.title, "", aligned(lines[0]), rule, *(aligned(line) for line in lines[1:])])


def shown(report: Report) -> str:
    """The whole report as text."""
    parts = [table_text(table) for table in report.tables]
    if report.notes:
        parts.append("\n".join(report.notes))
    return "\n\n".join(parts)


def machine() -> dict[str, Any]:
    """Where it was measured: a figure means little without."""
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "load": psutil.getloadavg()[0],
        "revision": _revision(),
    }


def save(report: Report, where: dict[str, Any], *, folder: Path = RESULTS) -> Path:
    """Write the JSON; its name tells the benchmark and the time."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}-{now:%Y-%m-%dT%H%M%SZ}.json"
    whole = {"benchmark": report.name, "measured": now.isoformat(timespec="seconds"), "machine": where, **report.data}
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return path


def _revision() -> str | None:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None

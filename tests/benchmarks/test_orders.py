"""The rows that all peers serve."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from benchmarks.orders import COLUMNS, csv_body, orders, write_json_lines

COUNT = 20_000


def test_the_same_each_time() -> None:
    assert list(orders(COUNT)) == list(orders(COUNT))


def test_about_ninety_bytes_a_row() -> None:
    assert 86 < len(csv_body(COUNT)) / COUNT < 92


def test_cells_of_every_kind() -> None:
    rows = list(orders(COUNT))
    assert {tuple(type(cell).__name__ for cell in row) for row in rows} == {
        ("int", "str", "str", "float", "str", "str", kind, "int") for kind in ("float", "NoneType")
    }
    assert sum("," in row[4] for row in rows) == COUNT // 100


def test_floats_are_written_alike_by_all() -> None:
    """Never whole, never with an exponent."""
    for row in orders(COUNT):
        for cell in (row[3], row[6]):
            assert cell is None or (repr(cell).replace(".", "", 1).isdecimal() and not cell.is_integer())


def test_both_forms_hold_the_rows(tmp_path: Path) -> None:
    read = list(csv.DictReader(io.StringIO(csv_body(100).decode(), newline="")))
    assert read[99]["note"] == "ring twice, please"
    write_json_lines(tmp_path / "orders", 100)
    lines = [json.loads(line) for line in (tmp_path / "orders").read_text().splitlines()]
    assert [tuple(line.values()) for line in lines] == list(orders(100))
    assert list(lines[0]) == COLUMNS == list(read[0])

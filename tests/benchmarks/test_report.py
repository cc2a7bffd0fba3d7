"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.figures import summary
from benchmarks.report import Report, Table, machine, save, shown, spread, table_text

TABLE = Table("title", ["", "seconds", "x"], [["one", "1.00 (0.90-1.10)", "1"], ["another", "12.5", "12.50"]])


def test_columns_are_aligned() -> None:
    assert table_text(TABLE).splitlines() == [
        "title",
        "",
        "                  seconds      x",
        "-------  ----------------  -----",
        "one      1.00 (0.90-1.10)      1",
        "another              12.5  12.50",
    ]


def test_a_row_of_another_width_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        table_text(Table("title", ["a", "b"], [["1", "2", "3"]]))


def test_spread() -> None:
    assert spread(summary([0.001, 0.002, 0.004]), scale=1000, digits=1) == "2.0 (1.5-3.0)"


def test_shown_ends_with_its_notes() -> None:
    assert shown(Report("rows", [TABLE, TABLE], ["a note"])).endswith("12.50\n\na note")
    assert shown(Report("rows", [TABLE])) == table_text(TABLE)


def test_json_says_what_where_and_when(tmp_path: Path) -> None:
    path = save(Report("rows", [TABLE], data={"rows": 3, "values": (1, 2)}), machine(), folder=tmp_path / "new")
    assert path.name.startswith("rows-2")
    written = json.loads(path.read_text())
    assert {"benchmark": "rows", "rows": 3, "values": [1, 2]}.items() <= written.items()
    assert written["machine"]["cores"] >= 1
    assert written["measured"].endswith("+00:00")

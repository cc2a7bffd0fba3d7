"""Whole bodies read by other projects, as they come where the reader can: what people will do with our responses."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

from echostream.wire import CsvBody, NdjsonBody
from support.bodies import Chunks, body_of

COLUMNS = ["id", "text", "price", "note"]
TEXTS = ["plain", 'a "quoted" one', "with, commas", "two\r\nlines", "é ✓ \N{PILE OF POO}", "a\ttab", "'single", "x=y"]
ROWS: list[tuple[Any, ...]] = [
    (number, f"{TEXTS[number % len(TEXTS)]} {number}", -number / 4, None if number % 3 else f"note {number}")
    for number in range(30_000)
]
CUTS = range(0, 30_000, 700)

LATE = "the first rows came only after most of the body"


@pytest.fixture(scope="module")
def table() -> bytes:
    return body_of(CsvBody(COLUMNS), ROWS, places=CUTS)


@pytest.fixture(scope="module")
def lines() -> bytes:
    body = NdjsonBody()
    body.describe(COLUMNS)
    return body_of(body, ROWS, places=CUTS, beats=True)


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    rows = frame.itertuples(index=False, name=None)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows]


def test_csv_by_the_standard_library(table: bytes) -> None:
    file = Chunks(table, 100)
    reader = csv.reader(io.TextIOWrapper(io.BufferedReader(file, 100), encoding="utf-8", newline=""))
    assert next(reader) == COLUMNS
    assert next(reader) == ["0", "plain 0", "0.0", "note 0"]
    assert file.given < len(table) / 2, LATE
    assert [row[1] for row in reader] == [row[1] for row in ROWS[1:]]


def test_csv_by_pandas(table: bytes) -> None:
    assert rows_of(pd.read_csv(io.BytesIO(table))) == ROWS
    file = Chunks(table, 1000)
    found: list[tuple[Any, ...]] = []
    with pd.read_csv(io.BufferedReader(file, 1000), chunksize=100) as reader:
        for part in reader:
            assert found or file.given < len(table) / 2, LATE
            found += rows_of(part)
    assert found == ROWS


def test_csv_by_polars(table: bytes) -> None:
    assert pl.read_csv(io.BytesIO(table)).rows() == ROWS


def test_csv_by_duckdb(table: bytes, tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_bytes(table)
    with duckdb.connect() as connection:
        assert connection.execute("select * from read_csv(?)", [str(file)]).fetchall() == ROWS
        sniff = "select Delimiter, Quote, NewLineDelimiter, HasHeader from sniff_csv(?)"
        assert connection.execute(sniff, [str(file)]).fetchall() == [(",", '"', "\\r\\n", True)]


def test_ndjson_by_pandas(lines: bytes) -> None:
    assert rows_of(pd.read_json(io.BytesIO(lines), lines=True)) == ROWS
    found: list[tuple[Any, ...]] = []
    file = Chunks(lines, 1000)
    with pd.read_json(io.BufferedReader(file, 1000), lines=True, chunksize=100) as reader:
        for part in reader:
            assert found or file.given < len(lines) / 2, LATE
            found += rows_of(part.reindex(columns=COLUMNS))
    assert found == ROWS


def test_ndjson_by_polars(lines: bytes) -> None:
    assert pl.read_ndjson(io.BytesIO(lines)).rows() == ROWS


def test_ndjson_by_duckdb(lines: bytes, tmp_path: Path) -> None:
    file = tmp_path / "lines.ndjson"
    file.write_bytes(lines)
    with duckdb.connect() as connection:
        assert connection.execute("select * from read_json(?)", [str(file)]).fetchall() == ROWS

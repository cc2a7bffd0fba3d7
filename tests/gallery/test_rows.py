"""Rows out of a database: a table as CSV, a search as a JSON array; and what strangers may ask for."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from echostream.exceptions import StreamFailed
from echostream.gallery.csv_export import app as csv_export
from echostream.gallery.csv_export import definitions
from echostream.gallery.library import library
from echostream.gallery.search import PAGE, pages
from echostream.gallery.search import app as search
from echostream.stream.threads import SOURCE_THREADS
from echostream.testing import drive
from support.settle import until

pytestmark = pytest.mark.usefixtures("made_library")


def ask(statement: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(library())) as database:
        return database.execute(statement, values).fetchall()


async def exported(path: str) -> list[list[str]]:
    async with drive(csv_export, "GET", path, within=20) as response:
        headers = (await response.head()).headers
        assert headers["content-type"].startswith("text/csv; charset=utf-8")
        assert headers["content-disposition"] == "attachment; filename=standard-library.csv"
        body = await response.read()
        assert await response.ended() == "complete"
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


async def test_the_cursor_names_the_columns_and_every_row_arrives():
    header, *rows = await exported("/csv_export")
    assert header == ["module", "name", "kind", "line", "decorators", "summary"]
    asked = ask("select module, name, kind, line from definitions order by id")
    assert [(module, name, kind, int(line)) for module, name, kind, line, _, _ in rows] == asked
    assert len(rows) > 1000


async def test_formulas_are_made_harmless_unless_a_program_reads():
    _, *guarded = await exported("/csv_export")
    _, *plain = await exported("/csv_export?for=programs")
    assert any(row[4] == "@classmethod" for row in plain)
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in guarded for cell in row)
    assert [[cell.removeprefix("'") if cell[1:2] in "=+-@" else cell for cell in row] for row in guarded] == plain


async def test_a_reader_that_leaves_frees_cursor_and_thread():
    before = SOURCE_THREADS.statistics().open
    async with drive(csv_export, "GET", "/csv_export", high_mark=1000) as response:
        await response.read(1000)
        assert SOURCE_THREADS.statistics().open == before + 1
        response.disconnect()
        assert await response.ended() == "gone"
        await until(lambda: SOURCE_THREADS.statistics().open == before)


def test_the_connection_is_closed_with_its_cursor():
    cursor = definitions()
    cursor.fetchone()
    cursor.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        cursor.connection.execute("select 1")


async def test_a_search_is_one_array_that_comes_in_pages():
    async with drive(search, "GET", "/search?q=socket", within=20) as response:
        assert (await response.head()).headers["content-type"] == "application/json"
        chunks = [chunk async for chunk in response]
        assert await response.ended() == "complete"
    found = json.loads(b"".join(chunks))
    asked = ask("select rowid from texts where texts match 'socket' order by rowid")
    assert [hit["id"] for hit in found] == [rowid for (rowid,) in asked]
    assert len(found) > 2 * PAGE
    assert all("[socket]" in hit["found"].lower() for hit in found)
    assert max(chunk.count(b'"module":') for chunk in chunks) == PAGE
    assert len(chunks) >= len(found) // PAGE


@pytest.mark.parametrize(
    ("query", "hits"), [("nothingiscalledso", 0), ("name:getaddrinfo", None), ('"event loop"', None)]
)
async def test_a_query_may_be_all_that_the_index_knows(query: str, hits: int | None):
    async with drive(search, "GET", f"/search?q={quote(query)}", within=20) as response:
        found = json.loads(await response.read())
    assert len(found) == hits if hits is not None else found


async def test_a_whole_page_as_the_last_one_is_the_last_one():
    with closing(sqlite3.connect(library())) as database:
        database.execute("create virtual table temp.words using fts5vocab(main, texts, row)")
        [word] = database.execute("select term from words where doc = ? and term glob '[a-z]*'", (PAGE,)).fetchone()
    async with drive(search, "GET", f"/search?q={word}") as response:
        assert len(json.loads(await response.read())) == PAGE


BAD = [
    *("", "AND", '"', "*", "nothing:here", "a NEAR// b", "-a", "(" * 100, "'; drop table texts; --", "' or 1=1 --"),
    *("a" * 101, "socket\0"),
]


@pytest.mark.parametrize("query", BAD)
async def test_what_is_no_query_is_400_and_says_why(query: str):
    async with drive(search, "GET", f"/search?q={quote(query)}") as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        told = json.loads(await response.read())
        assert told["code"] == "invalid-query"
        assert told["detail"].startswith("q: ")
        assert "ambiguous" not in told["detail"], "a fault of ours"


async def test_nobody_can_say_more_than_a_query():
    """Each of these stands in a value that is bound; none of it is SQL."""
    before = ask("select count(*) from definitions")
    for query in ("'; delete from definitions; --", "a') union select 1,2,3,4,5,6 --", "texts MATCH 'a'"):
        with pytest.raises(StreamFailed):
            list(pages(library(), query))
    assert ask("select count(*) from definitions") == before


def test_a_fault_of_the_disk_is_not_called_the_readers(tmp_path: Path):
    copy = tmp_path / "library.db"
    copy.write_bytes(library().read_bytes())
    with closing(sqlite3.connect(copy, isolation_level=None)) as other:
        other.execute("begin exclusive")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            list(pages(copy, "socket"))

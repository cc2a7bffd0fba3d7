"""Readers from other projects on a real connection: each format whole, as it comes, and a cut body called an error.

Whether something is read as it comes is known by a lock step: the source makes the next item when
the reader has the one before. A reader that waits for more than there is gets a cut body after a while.
"""

from __future__ import annotations

import asyncio
import csv
import http.client
import io
import json
import os
import subprocess
import threading
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx
import ijson
import jq
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pytest
from httpx_sse import connect_sse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    TextStreamResponse,
)
from echostream.stream import FLUSH
from support.threaded import Threaded, threaded

COLUMNS = ["number", "text"]
ROWS = [{"number": number, "text": f'row "{number}", é'} for number in range(1000)]
TUPLES = [tuple(row.values()) for row in ROWS]
FEW = ROWS[:5]
FORMATS: dict[str, Any] = {
    "csv": CSVResponse,
    "ndjson": NDJSONResponse,
    "json": JSONArrayResponse,
    "sse": EventStreamResponse,
    "text": TextStreamResponse,
    "bytes": BytesStreamResponse,
}
# Nothing that a reader gathers is larger than half of this.
BULK = [{"number": number, "text": "x" * 1000} for number in range(4000)]


class Shop:
    """Streams of rows, and the lock step: the source goes on when `taken` is called."""

    def __init__(self) -> None:
        self._turns = threading.Semaphore(0)

    def taken(self) -> None:
        """The reader has an item: make the next."""
        self._turns.release()

    async def whole(self, request: Request) -> Response:
        return self._answer(request, iter(ROWS))

    async def step(self, request: Request) -> Response:
        self._turns = threading.Semaphore(0)

        async def rows() -> AsyncIterator[Any]:
            for row in FEW:
                yield row
                yield FLUSH
                await self._turn()

        return self._answer(request, rows())

    async def bulk(self, request: Request) -> Response:
        """The second half is made when the reader has something of the first; `cut`: never."""
        self._turns = threading.Semaphore(0)
        cut = "cut" in request.query_params

        async def rows() -> AsyncIterator[Any]:
            for row in BULK:
                yield row
                if row["number"] == len(BULK) // 2:
                    if cut:
                        raise LookupError("broken")
                    await self._turn()

        return self._answer(request, rows())

    async def cut(self, request: Request) -> Response:
        async def rows() -> AsyncIterator[Any]:
            for row in FEW:
                yield row
            await asyncio.sleep(0.01)
            raise LookupError("broken")

        return self._answer(request, rows())

    async def _turn(self) -> None:
        for _ in range(5000):
            if self._turns.acquire(blocking=False):
                return
            await asyncio.sleep(0.001)
        raise LookupError("the reader waits for more than there is")

    def _answer(self, request: Request, rows: Any) -> Response:
        name = request.path_params["format"]
        if name in ("text", "bytes"):
            return FORMATS[name](_as(rows, binary=name == "bytes"))
        return FORMATS[name](rows)


async def _as(rows: Any, *, binary: bool) -> AsyncIterator[Any]:
    async def each() -> AsyncIterator[Any]:
        if hasattr(rows, "__anext__"):
            async for row in rows:
                yield row
        else:
            for row in rows:
                yield row

    async for row in each():
        line = row if row is FLUSH else row["text"] + "\n"
        yield line.encode() if binary and row is not FLUSH else line


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[Threaded]:
    routes = [Route(f"/{name}/{{format}}", getattr(shop, name)) for name in ("whole", "step", "bulk", "cut")]
    with threaded(Starlette(routes=routes), log_level="critical") as running:
        yield running


class Eager(io.RawIOBase):
    """A response as a file that gives what is there, where `HTTPResponse.read(n)` waits for n bytes.

    Its `readline` would give less than nothing: it takes a cut body for one that has ended.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        super().__init__()
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        data = self._response.read1(len(room))
        room[: len(data)] = data
        return len(data)


@contextmanager
def opened(server: Threaded, path: str) -> Iterator[io.BufferedReader]:
    with urllib.request.urlopen(f"{server.url}/{path}", timeout=10) as response:
        yield io.BufferedReader(Eager(response))


CUT = http.client.IncompleteRead


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(frame.itertuples(index=False, name=None))


# -- curl


def curl(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["curl", "-sN", *words], capture_output=True, timeout=20, check=False)


@pytest.mark.parametrize("name", FORMATS)
def test_curl_reads_it_whole(server: Threaded, name: str):
    done = curl(f"{server.url}/whole/{name}")
    assert done.returncode == 0
    assert done.stdout.count(b"row") == len(ROWS)


@pytest.mark.parametrize("name", FORMATS)
def test_curl_gives_each_item_as_it_comes(server: Threaded, shop: Shop, name: str):
    with subprocess.Popen(["curl", "-sN", f"{server.url}/step/{name}"], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        got, pieces = b"", io.FileIO(running.stdout.fileno(), closefd=False)
        for count in range(1, len(FEW) + 1):
            while got.count("é".encode()) < count:
                piece = pieces.read(65536)
                assert piece, got
                got += piece
            shop.taken()
        assert running.wait(10) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_curl_calls_a_cut_body_an_error(server: Threaded, name: str):
    done = curl(f"{server.url}/cut/{name}")
    assert done.stdout.count(b"row") == len(FEW)
    if name == "sse":  # it says itself how it ended
        assert (done.returncode, b"event: stream-error" in done.stdout) == (0, True)
    else:
        assert done.returncode == 18, "CURLE_PARTIAL_FILE"


# -- CSV


def test_csv_by_the_standard_library(server: Threaded, shop: Shop):
    with opened(server, "whole/csv") as file:
        read = list(csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")))
    assert read == [{"number": str(row["number"]), "text": row["text"]} for row in ROWS]
    with opened(server, "step/csv") as file:
        reader = csv.DictReader(_lines(file))
        for row in FEW:
            assert next(reader)["text"] == row["text"]
            shop.taken()
        assert list(reader) == []
    with opened(server, "cut/csv") as file, pytest.raises(CUT):
        list(csv.DictReader(_lines(file)))


def _lines(file: io.BufferedReader) -> Iterator[str]:
    """Lines as they come; `TextIOWrapper` gathers 8 KiB."""
    while line := file.readline():
        yield line.decode()


def test_csv_by_pandas(server: Threaded, shop: Shop):
    assert rows_of(pd.read_csv(f"{server.url}/whole/csv")) == TUPLES
    with pytest.raises(CUT):
        pd.read_csv(f"{server.url}/cut/csv")
    with opened(server, "bulk/csv") as file, pd.read_csv(file, chunksize=100) as reader:
        count = 0
        for part in reader:
            count += len(part)
            shop.taken()
    assert count == len(BULK)
    with opened(server, "cut/csv") as file, pytest.raises(CUT), pd.read_csv(file, chunksize=2) as reader:
        list(reader)


def test_csv_by_polars(server: Threaded, shop: Shop):
    """By its bytes: of a URL it wants the length, and a file that raises is a panic to it."""
    with opened(server, "whole/csv") as file:
        assert pl.read_csv(file.read()).rows() == TUPLES
    with opened(server, "step/csv") as file:
        head = file.readline()
        for row in FEW:
            assert pl.read_csv(head + file.readline()).rows() == [tuple(row.values())]
            shop.taken()
        assert file.read() == b""
    with opened(server, "cut/csv") as file, pytest.raises(CUT):
        pl.read_csv(file.read())


def test_csv_by_arrow_and_duckdb(server: Threaded, shop: Shop):
    """duckdb reads what arrow reads as it comes, and counts as it goes."""
    with opened(server, "bulk/csv") as file, duckdb.connect() as connection:
        reader = pyarrow.csv.open_csv(file, pyarrow.csv.ReadOptions(block_size=64 * 1024))
        shop.taken()  # opening it takes the first block
        batches = pa.RecordBatchReader.from_batches(reader.schema, iter(reader))
        connection.register("orders", batches)
        total = connection.execute("select count(*), sum(number), max(length(text)) from orders").fetchone()
    assert total == (len(BULK), sum(row["number"] for row in BULK), 1000)


def test_cut_csv_by_arrow_and_duckdb(server: Threaded):
    def count(file: io.BufferedReader, connection: duckdb.DuckDBPyConnection) -> None:
        reader = pyarrow.csv.open_csv(file, pyarrow.csv.ReadOptions(block_size=64 * 1024))
        connection.register("orders", pa.RecordBatchReader.from_batches(reader.schema, iter(reader)))
        connection.execute("select count(*) from orders").fetchone()

    with opened(server, "bulk/csv?cut=1") as file, duckdb.connect() as connection:
        # arrow reads ahead: it may come to the cut before duckdb asks for anything
        with pytest.raises((duckdb.Error, CUT), match="IncompleteRead"):
            count(file, connection)


def test_csv_by_duckdb_from_a_pipe(server: Threaded, tmp_path: Path):
    """Without the extension that reads HTTP: curl writes into a pipe; that the body was cut, curl says."""
    for path, count, code in (("whole/csv", len(ROWS), 0), ("cut/csv", len(FEW), 18)):
        pipe = tmp_path / path.replace("/", "-")
        os.mkfifo(pipe)
        with subprocess.Popen(["curl", "-sN", "-o", str(pipe), f"{server.url}/{path}"]) as running:
            with duckdb.connect() as connection:
                found = connection.execute("select count(*) from read_csv(?, header = true)", [str(pipe)]).fetchone()
            assert running.wait(10) == code
        assert found == (count,)


# -- NDJSON


def test_ndjson_by_pandas(server: Threaded, shop: Shop):
    assert rows_of(pd.read_json(f"{server.url}/whole/ndjson", lines=True)) == TUPLES
    with pytest.raises(CUT):
        pd.read_json(f"{server.url}/cut/ndjson", lines=True)
    with opened(server, "step/ndjson") as file:
        reader = iter(pd.read_json(file, lines=True, chunksize=1))
        for row in FEW:
            assert rows_of(next(reader)) == [tuple(row.values())]
            shop.taken()
        assert list(reader) == []
    with opened(server, "cut/ndjson") as file, pytest.raises(CUT):
        list(pd.read_json(file, lines=True, chunksize=1))


def test_ndjson_by_polars(server: Threaded, shop: Shop):
    with opened(server, "whole/ndjson") as file:
        assert pl.read_ndjson(file.read()).rows() == TUPLES
    with opened(server, "step/ndjson") as file:
        for row in FEW:
            assert pl.read_ndjson(file.readline()).rows() == [tuple(row.values())]
            shop.taken()
        assert file.read() == b""
    with opened(server, "cut/ndjson") as file, pytest.raises(CUT):
        pl.read_ndjson(file.read())


def test_ndjson_by_duckdb(server: Threaded, tmp_path: Path):
    file = tmp_path / "lines.ndjson"
    assert curl("-o", str(file), f"{server.url}/whole/ndjson").returncode == 0
    with duckdb.connect() as connection:
        found = connection.execute("select number, text from read_ndjson(?) order by number", [str(file)]).fetchall()
    assert found == TUPLES


def test_ndjson_by_jq(server: Threaded, shop: Shop):
    number = jq.compile(".number")
    with opened(server, "whole/ndjson") as file:
        assert number.input_text(file.read().decode()).all() == [row["number"] for row in ROWS]
    with opened(server, "step/ndjson") as file:
        for row in FEW:
            assert number.input_text(file.readline().decode()).first() == row["number"]
            shop.taken()
    with opened(server, "cut/ndjson") as file:
        lines = _lines(file)
        told = jq.compile(".stream").input_text("".join(next(lines) for _ in range(len(FEW) + 1))).all()
        assert told == [None] * len(FEW) + ["error"]
        with pytest.raises(CUT):
            next(lines)


def test_ndjson_by_httpx(server: Threaded, shop: Shop):
    with httpx.stream("GET", f"{server.url}/step/ndjson") as response:
        lines = response.iter_lines()
        for row in FEW:
            assert json.loads(next(lines)) == row
            shop.taken()
        assert list(lines) == []
    with httpx.stream("GET", f"{server.url}/cut/ndjson") as response, pytest.raises(httpx.RemoteProtocolError):
        list(response.iter_lines())


# -- a JSON array


def test_an_array_by_ijson(server: Threaded, shop: Shop):
    with opened(server, "whole/json") as file:
        assert list(ijson.items(file, "item")) == ROWS
    with opened(server, "step/json") as file:
        items = ijson.items(file.raw, "item")
        for row in FEW:
            assert next(items) == row
            shop.taken()
        assert list(items) == []
    with opened(server, "cut/json") as file:
        items = ijson.items(file.raw, "item")
        assert [next(items) for _ in FEW] == FEW
        with pytest.raises(CUT):
            next(items)


@pytest.mark.parametrize("backend", ["python", "yajl2_c"])
def test_half_an_array_is_an_error_to_ijson_itself(server: Threaded, backend: str):
    half = curl(f"{server.url}/cut/json").stdout
    items = ijson.get_backend(backend).items(io.BytesIO(half), "item")
    assert [next(items) for _ in FEW] == FEW
    with pytest.raises(ijson.IncompleteJSONError):
        next(items)


def test_an_array_by_jq(server: Threaded):
    assert jq.compile("length").input_text(curl(f"{server.url}/whole/json").stdout.decode()).first() == len(ROWS)
    with pytest.raises(ValueError, match="Unfinished JSON"):
        jq.compile("length").input_text(curl(f"{server.url}/cut/json").stdout.decode()).all()


def test_an_array_by_pandas_polars_and_duckdb(server: Threaded, tmp_path: Path):
    assert rows_of(pd.read_json(f"{server.url}/whole/json")) == TUPLES
    with pytest.raises(CUT):
        pd.read_json(f"{server.url}/cut/json")
    with opened(server, "whole/json") as file:
        assert pl.read_json(file.read()).rows() == TUPLES
    file = tmp_path / "array.json"
    file.write_bytes(curl(f"{server.url}/whole/json").stdout)
    half = tmp_path / "half.json"
    half.write_bytes(curl(f"{server.url}/cut/json").stdout)
    with pytest.raises(pl.exceptions.ComputeError):
        pl.read_json(half)
    with duckdb.connect() as connection:
        assert connection.execute("select number, text from read_json(?)", [str(file)]).fetchall() == TUPLES
        with pytest.raises(duckdb.Error):
            connection.execute("select number, text from read_json(?)", [str(half)]).fetchall()


# -- events


def test_events_by_httpx_sse(server: Threaded, shop: Shop):
    with httpx.Client() as client:
        with connect_sse(client, "GET", f"{server.url}/step/sse") as source:
            events = source.iter_sse()
            for row in FEW:
                assert json.loads(next(events).data) == row
                shop.taken()
            end = next(events)
            assert (end.event, json.loads(end.data)) == ("stream-end", {"reason": "finished"})
            assert list(events) == []
        with connect_sse(client, "GET", f"{server.url}/cut/sse") as source:
            *items, error = source.iter_sse()
            assert [item.event for item in items] == ["message"] * len(FEW)
            assert error.event == "stream-error"
        again = client.get(f"{server.url}/step/sse", headers={"last-event-id": error.id})
        assert again.status_code == 204

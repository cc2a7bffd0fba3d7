"""The pages on responses of their own: each page's Python is one application, and does what the page says."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from echostream.exceptions import StreamAborted
from echostream.testing import drive, virtual_time
from support.pages import application, load, named
from support.settle import until

BEGIN = "docs/how-to/stream-a-response.md"
ROWS = "docs/how-to/export-rows.md"
EVENTS = "docs/how-to/server-sent-events.md"
FAILS = "docs/how-to/when-a-stream-fails.md"
LEAVES = "docs/how-to/when-the-reader-leaves.md"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "files" / name).write_text(name * 1000)
    return tmp_path


@pytest.fixture
def shop(here: Path) -> Path:
    with closing(sqlite3.connect(here / "shop.db")) as database, database:
        database.executescript(Path(__file__).with_name("shop.sql").read_text())
    return here


async def whole(app: Any, path: str, method: str = "GET", **options: Any) -> bytes:
    async with drive(app, method, path, **options) as response:
        assert (await response.head()).status == 200
        body = await response.read()
        assert await response.ended() == "complete"
    return body


# -- stream a response


def test_a_clock_ticks(here: Path):
    app = load(application(BEGIN), here).app

    @virtual_time
    async def ticks() -> None:
        loop = asyncio.get_running_loop()
        async with drive(app, "GET", "/clock") as response:
            assert [(loop.time(), chunk.count(b"\n")) async for chunk in response] == [(n, 1) for n in range(4)]

    ticks()


@pytest.mark.parametrize("path", ["/checksums", "/checksums/written"])
async def test_each_file_is_told_when_it_is_done(here: Path, path: str):
    async with drive(load(application(BEGIN), here).app, "POST", path) as response:
        chunks = [json.loads(chunk) async for chunk in response]
    assert [(told["file"], told["sha256"]) for told in chunks] == [
        (name, hashlib.sha256(name.encode() * 1000).hexdigest()) for name in ("one", "three", "two")
    ]
    assert [(told.get("done", 1), told.get("of", 3)) for told in chunks] in ([(1, 3), (2, 3), (3, 3)], [(1, 3)] * 3)


async def test_the_archive_holds_the_files(here: Path):
    packed = await whole(load(application(BEGIN), here).app, "/files.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert sorted(tar.getnames()) == ["one", "three", "two"]


async def test_items_have_a_type(here: Path):
    app = load(application(BEGIN), here).app
    assert json.loads(await whole(app, "/readings")) == {"sensor": "kitchen", "celsius": 21.5}
    content = app.openapi()["paths"]["/readings"]["get"]["responses"]["200"]["content"]
    assert content.keys() == {"application/x-ndjson"}
    assert content["application/x-ndjson"]["itemSchema"]["required"] == ["sensor", "celsius"]


@pytest.mark.parametrize("name", ["routes", "plain"])
async def test_without_fastapi_it_is_the_same(here: Path, name: str):
    app = load(named(BEGIN, f"{name}.py"), here, name).app
    for _ in range(2):  # one response, any number of requests
        body = await whole(app, "/squares")
        assert [json.loads(line)["square"] for line in body.splitlines()] == [1, 4, 9]


# -- rows


async def test_rows_of_all_kinds(shop: Path):
    app = load(application(ROWS), shop).app
    assert await whole(app, "/customers.csv") == b"customer\r\nAda\r\nEdsger\r\nGrace\r\n"
    notes = list(csv.DictReader(io.StringIO((await whole(app, "/notes.csv")).decode())))
    assert notes[0] == {"id": "1", "note": "two pens, blue", "words": "3"}
    assert json.loads(await whole(app, "/search?q=nothing")) == []


async def test_the_dependency_ends_after_the_source(shop: Path):
    page = load(application(ROWS), shop)
    connections = list[sqlite3.Connection]()

    def database() -> Iterator[sqlite3.Connection]:
        for connection in page.database():
            connections.append(connection)
            yield connection

    page.app.dependency_overrides[page.database] = database
    assert await whole(page.app, "/orders.csv")
    async with drive(page.app, "GET", "/orders.csv", high_mark=0) as response:
        await response.read(1)
        response.disconnect()
        assert await response.ended() == "gone"
    assert len(connections) == 2
    for connection in connections:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("select 1")


async def test_a_search_goes_through_all_pages(shop: Path):
    with closing(sqlite3.connect("shop.db")) as database, database:
        database.executemany("insert into notes values (?)", [(f"paper {number}",) for number in range(50)])
    found = json.loads(await whole(load(application(ROWS), shop).app, "/search?q=paper"))
    assert [hit["note"] for hit in found] == [f"paper {number}" for number in range(50)]


# -- events


async def test_events_go_on_where_the_reader_was(here: Path):
    app = load(application(EVENTS), here).app
    async with drive(app, "GET", "/numbers", headers={"last-event-id": "3"}) as response:
        *numbers, end = await response.events()
    assert [number.last_event_id for number in numbers] == ["4", "5"]
    assert json.loads(end.data) == {"reason": "finished"}
    async with drive(app, "GET", "/numbers", headers={"last-event-id": end.last_event_id}) as response:
        assert (await response.head()).status == 204
    async with drive(app, "GET", "/numbers", headers={"last-event-id": "x\xff"}) as response:
        assert len(await response.events()) == 6


# -- failures


@pytest.fixture
def reports(here: Path) -> ModuleType:
    (here / "a.txt").write_text("one")
    (here / "b.txt").write_text("four")
    return load(application(FAILS), here)


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "sse"])
async def test_a_failure_is_seen_for_what_it_is(reports: ModuleType, form: str):
    async with drive(reports.app, "GET", f"/reports/nothing?format={form}") as response:
        assert (await response.head()).status == 404
        assert json.loads(await response.read())["code"] == "no-such-report"
    async with drive(reports.app, "GET", f"/reports/lost?format={form}") as response:
        assert (await response.head()).status == 500
        await response.ended()
        assert isinstance(response.exception, FileNotFoundError)
    async with drive(reports.app, "GET", f"/reports/broken?format={form}") as response:
        assert (await response.head()).status == 200
        assert await response.ended() == ("complete" if form == "sse" else "aborted")
        assert b"a.txt" in response.body
        assert b"gone.txt" not in response.body
        assert (b"stream-error" in response.body) == (form == "sse")
        assert form == "sse" or isinstance(response.exception, StreamAborted)
    assert b"b.txt" in await whole(reports.app, f"/reports/good?format={form}")


# -- readers that leave


def test_work_stops_with_its_reader(here: Path):
    page = load(application(LEAVES), here)

    @virtual_time
    async def leave() -> None:
        async with drive(page.app, "GET", "/primes") as response:
            assert await response.lines(3) == [2, 3, 5]
            assert page.WORK["running"] == 1
            response.disconnect()
            assert await response.ended() == "gone"
        done = page.WORK["numbers"]
        await asyncio.sleep(60)
        assert json.loads(await whole(page.app, "/primes/work")) == {"running": 0, "numbers": done}

    leave()


async def test_ends_are_counted(here: Path):
    page = load(application(LEAVES), here)
    assert (await whole(page.app, "/export")).count(b"\n") == 100_000
    async with drive(page.app, "GET", "/export", high_mark=0) as response:
        await response.read(1)
        response.disconnect()
        await response.ended()
    await until(lambda: page.ENDED["gone"])
    told = json.loads(await whole(page.app, "/statistics"))
    assert told["exports"] == {"finished": 1, "gone": 1}
    assert told["streams"].keys() == {"open", "ended", "abandoned"}

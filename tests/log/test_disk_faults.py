"""A disk that is full, or fails: publishers are told the truth, readers go on, no restart is needed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from echostream.event import Event
from echostream.exceptions import LogFull, LogUnavailable
from echostream.log import IdempotencyKey
from echostream.log.sqlite import SqliteLog
from echostream.log.sqlite import writer as sqlite_writer
from echostream.testing.log_tools import collect, data_of, opened, read_all
from support.faultydisk import FaultyDisk


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    disk = FaultyDisk("faulty")
    yield disk
    disk.unregister()


def event(data: str) -> list[Event]:
    return [Event(data=data, topic="a")]


def io_error(code: int) -> apsw.IOError:
    error = apsw.IOError("the test's fault")
    error.extendedresult = code
    return error


async def surviving(path: Path, copy: Path) -> list[str | None]:
    """What a crash at this moment would leave, opened elsewhere."""
    copy.mkdir()
    for ending in ("", "-wal"):
        if path.with_name(path.name + ending).exists():
            shutil.copy(path.with_name(path.name + ending), copy / f"log.db{ending}")
    async with opened(SqliteLog(copy / "log.db")) as log:
        return data_of(await read_all(log))


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_a_full_disk_is_told_and_passes(tmp_path: Path, disk: FaultyDisk, durability: str) -> None:
    async with opened(SqliteLog(tmp_path / "log.db", durability=durability, _vfs=disk.name)) as log:
        following = asyncio.ensure_future(collect(log.follow(0), 4))
        assert await log.append(event("1")) == [1]
        disk.fault = lambda what, file: apsw.FullError() if what == "write" else None
        for _ in range(3):
            with pytest.raises(LogFull, match="no room"):
                await log.append(event("lost"), IdempotencyKey("word"))
        answers = await asyncio.gather(*(log.append(event("lost")) for _ in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [LogFull] * 5
        assert data_of(await read_all(log)) == ["1"]
        assert (await log.bounds()).newest == 1
        with pytest.raises(LogFull):
            await log.ready()
        disk.fault = None
        await log.ready()
        await log.ready()
        assert await log.append(event("2"), IdempotencyKey("word")) == [2]
        assert await log.append(event("3")) == [3]
        assert await log.append(event("4")) == [4]
        assert data_of(await following) == ["1", "2", "3", "4"]


async def test_answering_a_repeat_makes_no_full_disk_ready(tmp_path: Path, disk: FaultyDisk) -> None:
    async with opened(SqliteLog(tmp_path / "log.db", _vfs=disk.name)) as log:
        key = IdempotencyKey("word")
        await log.append(event("1"), key)
        disk.fault = lambda what, file: apsw.FullError() if what == "write" else None
        with pytest.raises(LogFull):
            await log.append(event("2"))
        assert await log.append(event("1"), key) == [1]
        with pytest.raises(LogFull):
            await log.ready()


async def test_full_in_the_middle_of_a_group(tmp_path: Path, disk: FaultyDisk) -> None:
    """Some frames are written, then there is no room: nothing of the group is ever seen."""
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, _vfs=disk.name)) as log:
        await log.append(event("1"))
        left = [4]

        def fault(what: str, file: str) -> Exception | None:
            left[0] -= what == "write"
            return apsw.FullError() if left[0] < 0 else None

        disk.fault = fault
        with pytest.raises(LogFull):
            await log.append(event("x" * 50_000))
        disk.fault = None
        assert await surviving(path, tmp_path / "crash") == ["1"]
        assert await log.append(event("2")) == [2]
        assert data_of(await read_all(log)) == ["1", "2"]


async def test_a_failed_sync_cannot_bring_the_group_back(tmp_path: Path, disk: FaultyDisk) -> None:
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, _vfs=disk.name)) as log:
        await log.append(event("1"))
        faults = [io_error(apsw.SQLITE_IOERR_FSYNC)]
        disk.fault = lambda what, file: faults.pop() if what == "sync" and faults else None
        with pytest.raises(LogUnavailable, match="nothing was appended"):
            await log.append(event("lost" + "x" * 20_000))
        assert faults == []
        assert data_of(await read_all(log)) == ["1"]
        assert await surviving(path, tmp_path / "crash") == ["1"]
        assert await log.append(event("2")) == [2]


async def test_a_write_that_landed_and_failed_cannot_bring_the_group_back(tmp_path: Path, disk: FaultyDisk) -> None:
    """The commit frame is whole in the WAL, yet the answer is an error, as a disk in the network may give it."""
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, _vfs=disk.name)) as log:
        await log.append(event("1"))
        writes = [0, 0]  # of the second append, of the third

        def count(what: str, file: str) -> Exception | None:
            writes[-1] += what == "written"
            return io_error(apsw.SQLITE_IOERR_WRITE) if what == "written" and writes[0] == writes[-1] else None

        disk.fault = count
        await log.append(event("2"))
        writes.reverse()
        with pytest.raises(LogUnavailable, match="nothing was appended"):
            await log.append(event("lost"))
        assert data_of(await read_all(log)) == ["1", "2"]
        assert await surviving(path, tmp_path / "crash") == ["1", "2"]
        assert await log.append(event("3")) == [3]


async def test_an_unknown_fate_is_told_as_such(tmp_path: Path, disk: FaultyDisk) -> None:
    """The sync fails, and so does the fence: only a repeat with the key is right whatever happened."""
    path = tmp_path / "log.db"
    key = IdempotencyKey("word")
    async with opened(SqliteLog(path, _vfs=disk.name)) as log:
        await log.append(event("1"))
        disk.fault = lambda what, file: io_error(apsw.SQLITE_IOERR_FSYNC) if what == "sync" else None
        with pytest.raises(LogUnavailable, match="not known"):
            await log.append(event("perhaps"), key)
        assert data_of(await read_all(log)) == ["1"]
        await surviving(path, tmp_path / "crash")
        async with opened(SqliteLog(tmp_path / "crash" / "log.db")) as crashed:
            assert await crashed.append(event("perhaps"), key) == [2]
            assert data_of(await read_all(crashed)) == ["1", "perhaps"]
        disk.fault = None
        assert await log.append(event("perhaps"), key) == [2]
        assert data_of(await read_all(log)) == ["1", "perhaps"]


async def test_a_fence_is_needed(tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the fence the group that was answered as failed comes back after a crash: the fault is real."""
    path = tmp_path / "log.db"
    monkeypatch.setattr(sqlite_writer.Writer, "_fence", lambda self: True)
    async with opened(SqliteLog(path, _vfs=disk.name)) as log:
        await log.append(event("1"))
        faults = [io_error(apsw.SQLITE_IOERR_FSYNC)]
        disk.fault = lambda what, file: faults.pop() if what == "sync" and faults else None
        with pytest.raises(LogUnavailable):
            await log.append(event("lost"))
        assert await surviving(path, tmp_path / "crash") == ["1", "lost"]


async def test_a_weak_run_whose_sync_failed_is_not_clean(tmp_path: Path, disk: FaultyDisk) -> None:
    path = tmp_path / "log.db"
    epochs: list[str] = []
    for fails in (False, True, False):
        async with opened(SqliteLog(path, durability="normal", _vfs=disk.name)) as log:
            epochs.append((await log.bounds()).epoch)
            await log.append(event("1"))
            if fails:
                faults = [io_error(apsw.SQLITE_IOERR_WRITE)]
                disk.fault = lambda what, file, faults=faults: faults.pop() if what == "write" and faults else None
                with pytest.raises(LogUnavailable):
                    await log.append(event("2"))
    assert epochs[0] == epochs[1] != epochs[2]


async def test_a_failing_checkpoint_disturbs_nobody(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_FRAMES", 1)
    async with opened(SqliteLog(tmp_path / "log.db", _vfs=disk.name)) as log:
        disk.fault = lambda what, file: io_error(apsw.SQLITE_IOERR_WRITE) if file == "log.db" else None
        for i in range(1, 10):
            assert await log.append(event(str(i))) == [i]
        disk.fault = None
        assert await log.append(event("10")) == [10]
    async with opened(SqliteLog(tmp_path / "log.db")) as log:
        assert data_of(await read_all(log)) == [str(i) for i in range(1, 11)]


async def test_the_wal_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path, durability="normal", max_bytes=2_000_000)) as log:
        for _ in range(400):
            await log.append(event("x" * 100_000))
            await log.read((await log.bounds()).newest - 1, 1)
        assert path.with_name("log.db-wal").stat().st_size < 16 * 1024 * 1024
        assert path.stat().st_size < 8_000_000
    assert not path.with_name("log.db-wal").exists()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_file_that_is_taken_away_acknowledges_nothing(tmp_path: Path, how: str) -> None:
    path = tmp_path / "log.db"
    other = tmp_path / "other.db"
    async with opened(SqliteLog(other)):
        pass
    before = other.read_bytes()
    async with opened(SqliteLog(path)) as log:
        await log.append(event("1"))
        path.rename(tmp_path / "away.db")
        if how == "replaced":
            other.rename(path)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match="start again"):
                await log.append(event("2"))
    if how == "replaced":
        assert path.read_bytes() == before


async def test_a_wal_that_is_taken_away_acknowledges_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path)) as log:
        await log.append(event("1"))
        path.with_name("log.db-wal").unlink()
        with pytest.raises(LogUnavailable, match="start again"):
            await log.append(event("2"))
    async with opened(SqliteLog(path)) as log:
        assert data_of(await read_all(log)) == ["1"]  # closing wrote it into the file


_REAL = """
import asyncio, resource, sys
from echostream.event import Event
from echostream.exceptions import LogFull
from echostream.log.sqlite import SqliteLog

async def main():
    log = SqliteLog(sys.argv[1])
    await log.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    kept = 0
    while True:
        try:
            await log.append([Event(data="x" * 10_000, topic="a")])
        except LogFull as error:
            print(error)
            break
        kept += 1
        assert kept < 1000
    page = await log.read(0, 1000)
    assert len(page.entries) == kept > 5, kept
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await log.append([Event(data="again", topic="a")]) == [kept + 1]
    await log.aclose()

asyncio.run(main())
"""


def test_the_system_refuses_to_let_the_file_grow(tmp_path: Path) -> None:
    """The same with a limit of the system itself, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _REAL, str(tmp_path / "log.db")], check=False, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert "no room" in done.stdout

"""Opening: what a URL names, what a path can be, who may have it, and what a killed process leaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from echostream.event import Event
from echostream.exceptions import InvalidSetting, LogForeign, LogInUse, LogUnavailable
from echostream.log import IdempotencyKey, MemoryLog, open_log
from echostream.log.sqlite import SqliteLog
from echostream.testing.log_tools import data_of, opened, read_all

WRITER = Path(__file__).parents[1] / "support" / "log_writer.py"


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)


# --- URLs


async def test_urls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_log("memory://"), MemoryLog)
    assert isinstance(open_log("memory://?max_bytes=1000"), MemoryLog)
    for url, file in (
        ("sqlite:///relative.db", tmp_path / "relative.db"),
        (f"sqlite:///{tmp_path}/absolute.db?durability=normal&max_bytes=0&max_age=0.5", tmp_path / "absolute.db"),
        ("sqlite:///with%20space%3F.db", tmp_path / "with space?.db"),
    ):
        async with opened(open_log(url)) as log:
            assert log.durability == ("normal" if "normal" in url else "full")
        assert file.exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://localhost/0", "not in this version"),
        ("nats://localhost", "not in this version"),
        ("sqlit:///x.db", "did you mean sqlite"),
        ("", "memory:// and sqlite://"),
        ("events.db", "memory:// and sqlite://"),
        ("sqlite:x.db", "memory:// and sqlite://"),
        ("http://[", "not a URL"),
        ("sqlite://x.db", "sqlite:///x.db"),
        ("sqlite://", "needs a file"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///dir/", "needs a file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///a%00.db", "NUL"),
        ("sqlite:///x.db?durabilty=full", "did you mean durability"),
        ("sqlite:///x.db?durability=weak", "full or normal"),
        ("sqlite:///x.db?max_bytes=-1", "0 (no bound)"),
        ("sqlite:///x.db?max_bytes=1GiB", "not a number"),
        ("sqlite:///x.db?max_age=nan", "0 (no bound)"),
        ("sqlite:///x.db?max_age=inf", "0 (no bound)"),
        ("sqlite:///x.db?max_age=", "not a number"),
        ("sqlite:///x.db#y", "%23"),
        ("memory://?durability=full", "there are max_bytes"),
        ("memory://?max_bytes=0", "1 or more"),
        ("memory:///x", "takes no path"),
    ],
)
def test_urls_that_name_nothing(url: str, says: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        open_log(url)
    assert says in str(caught.value)


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(InvalidSetting) as caught:
        open_log("redi://user:secret@host/0")
    assert "secret" not in str(caught.value)


def test_without_apsw_the_error_says_what_to_install() -> None:
    done = run(
        """
        import sys
        sys.modules["apsw"] = None
        from echostream.log import open_log
        open_log("memory://")
        try:
            open_log("sqlite:///x.db")
        except Exception as error:
            print(type(error).__name__, error)
        """
    )
    assert 'pip install "echostream[hub]"' in done.stdout, done.stderr


# --- paths


async def test_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    for path, says in (
        (tmp_path / "missing" / "log.db", "does not exist; create it"),
        (tmp_path / "file" / "log.db", "is not a directory"),
        (tmp_path / "directory", "not a regular file"),
    ):
        with pytest.raises(LogUnavailable, match=says) as caught:
            await SqliteLog(path).open()
        assert str(path) in str(caught.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory", "file"]


@pytest.mark.parametrize("what", ["directory", "file", "way"])
def test_a_path_that_cannot_be_written(what: str) -> None:
    with tempfile.TemporaryDirectory() as name:  # others may come this far, unlike with tmp_path
        directory = Path(name)
        path = directory / "log.db"
        if what == "file":
            path.touch(mode=0o444)
        elif what == "way":
            path = directory / "closed" / "log.db"
            path.parent.mkdir()
        directory.chmod({"directory": 0o555, "file": 0o777, "way": 0o000}[what])
        said = _said_by_somebody_else(path)
        directory.chmod(0o755)
    assert said.startswith("LogUnavailable"), said
    assert ("Permission denied" if what == "way" else "writable") in said


def _said_by_somebody_else(path: Path) -> str:
    code = """
        import asyncio, os, sys
        from echostream.log.sqlite import SqliteLog
        if os.geteuid() == 0:  # root may write anywhere: be somebody else
            os.setgid(65534), os.setuid(65534)
        try:
            asyncio.run(SqliteLog(sys.argv[1]).open())
        except Exception as error:
            print(type(error).__name__, error)
        """
    done = run(code, str(path))
    return done.stdout + done.stderr


async def test_two_names_of_one_file_are_one_log(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "log.db")
    async with opened(SqliteLog(tmp_path / "log.db")):
        with pytest.raises(LogInUse):
            await SqliteLog(tmp_path / "link.db").open()


# --- files of others


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = wal")
    database.execute("CREATE TABLE precious (x)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(LogForeign, match="another program"):
        await SqliteLog(path).open()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["theirs.db"]


@pytest.mark.parametrize("content", [b"a text, not a database\n", b"x", b"SQLite format 3\0" + b"\0" * 40])
async def test_what_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(LogForeign, match="not a SQLite database"):
        await SqliteLog(path).open()
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


async def test_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with opened(SqliteLog(path)):
        pass
    for version, says in ((2, "newer echostream"), (0, "format 0")):
        content = bytearray(path.read_bytes())
        content[60:64] = struct.pack(">I", version)
        path.write_bytes(content)
        with pytest.raises(LogForeign, match=says):
            await SqliteLog(path).open()
        assert path.read_bytes() == content


async def test_an_empty_file_becomes_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch()
    (tmp_path / "log.db.new").write_bytes(b"what a crash left")
    async with opened(SqliteLog(path)) as log:
        assert await log.append([Event(data="1", topic="a")]) == [1]


async def test_what_a_moved_log_left_behind_is_not_deleted(tmp_path: Path) -> None:
    """A killed log's newest entries are in the WAL alone; its file was moved without it."""
    path, moved = tmp_path / "log.db", tmp_path / "moved.db"
    async with opened(SqliteLog(path)) as log:
        await log.append([Event(data="1", topic="a")])
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", f"{moved}{ending}")
    for ending in ("", "-wal"):
        Path(f"{moved}{ending}").rename(f"{path}{ending}")
    path.rename(moved)
    with pytest.raises(LogUnavailable, match=r"log\.db-wal.*Move it"):
        await SqliteLog(path).open()
    Path(f"{path}-wal").rename(f"{moved}-wal")
    async with opened(SqliteLog(moved)) as log:
        assert data_of(await read_all(log)) == ["1"]
    async with opened(SqliteLog(path)) as log:
        assert await read_all(log) == []


# --- one owner


async def test_a_second_opener_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    code = """
        import asyncio, sys
        from echostream.log.sqlite import SqliteLog
        try:
            asyncio.run(SqliteLog(sys.argv[1]).open())
        except Exception as error:
            print(type(error).__name__, error)
        """
    async with opened(SqliteLog(path)) as log:
        with pytest.raises(LogInUse, match=f"process {os.getpid()}"):
            await SqliteLog(path).open()
        done = run(code, str(path))
        assert done.stdout.startswith("LogInUse"), done.stdout + done.stderr
        assert str(os.getpid()) in done.stdout
        assert await log.append([Event(data="1", topic="a")]) == [1]
    async with opened(SqliteLog(path)) as log:
        assert data_of(await read_all(log)) == ["1"]


def test_a_forked_child_does_not_hold_a_log_that_was_closed(tmp_path: Path) -> None:
    code = """
        import asyncio, os, sys
        from echostream.log.sqlite import SqliteLog

        async def main():
            log = SqliteLog(sys.argv[1])
            await log.open()
            waits, ends = os.pipe()
            child = os.fork()
            if not child:
                os.close(ends)
                os.read(waits, 1)
                os._exit(0)
            await log.aclose()
            try:
                log = SqliteLog(sys.argv[1])
                await log.open()
                await log.aclose()
                print("open again")
            finally:
                os.close(ends)
                os.waitpid(child, 0)

        asyncio.run(main())
        """
    done = run(code, str(tmp_path / "log.db"))
    assert done.stdout == "open again\n", done.stderr


async def test_a_link_in_the_locks_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "log.db.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(LogUnavailable, match=r"log\.db\.lock.*remove that link"):
        await SqliteLog(tmp_path / "log.db").open()
    assert (tmp_path / "precious").read_text() == "precious"


async def test_opening_is_cancelled_cleanly(tmp_path: Path) -> None:
    for _ in range(5):
        log = SqliteLog(tmp_path / "log.db")
        opening = asyncio.ensure_future(log.open())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await log.aclose()
    async with opened(SqliteLog(tmp_path / "log.db")):
        pass


# --- killed


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_killed_while_writing(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "log.db"
    acknowledged: dict[int, str] = {}
    epochs: list[str] = []
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, str(WRITER), str(path), durability], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(150)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
        for line in lines:
            if line.endswith("\n"):
                offset, word = line.split()
                acknowledged[int(offset)] = word
        async with opened(SqliteLog(path, durability=durability)) as log:
            epochs.append((await log.bounds()).epoch)
            kept = {entry.offset: entry.event.data for entry in await read_all(log, limit=500)}
            assert acknowledged.items() <= kept.items()
            assert sorted(kept) == list(range(1, len(kept) + 1))
            for offset, word in list(acknowledged.items())[-5:]:
                again = [Event(data=word, topic=f"t/{word[0]}")]
                assert await log.append(again, IdempotencyKey(word)) == [offset]
            assert (await log.bounds()).newest == len(kept)
    assert len(set(epochs)) == (1 if durability == "full" else 3)

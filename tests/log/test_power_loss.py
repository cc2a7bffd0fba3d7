"""The power goes at every write and sync of a run: no acknowledged event is lost, or a new epoch says so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from echostream.event import Event
from echostream.log import IdempotencyKey
from echostream.log.sqlite import SqliteLog
from echostream.log.sqlite import file as sqlite_file
from echostream.log.sqlite import writer as sqlite_writer
from echostream.testing.log_tools import opened, read_all
from support.crashdisk import Disk, Operation, Recorder, Unsynced, disks

NAME = "log.db"
KEPT = 9_000  # bytes: the run trims


@dataclass
class Run:
    """What a scripted run told its publishers, by offset; marks of the record are indexes into `acknowledged`."""

    epoch: str = ""
    sent: dict[int, str] = field(default_factory=dict)
    acknowledged: list[tuple[list[int], list[str], str | None, int]] = field(default_factory=list)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder("recorder")
    yield recorder
    recorder.unregister()


@pytest.fixture
def quick() -> Iterator[str]:
    vfs = Unsynced("unsynced")
    yield "unsynced"
    vfs.unregister()


@pytest.fixture
def small_checkpoints(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """A short run meets every kind of checkpoint, and the rename of a new file is in the record."""
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_FRAMES", 12)
    monkeypatch.setattr(sqlite_writer, "RESTART_FRAMES", 24)
    replace = sqlite_file.replace

    def recorded(unfinished: Path, path: Path) -> None:
        recorder.operations.append(Operation("rename", unfinished.name, data=path.name))
        replace(unfinished, path)

    monkeypatch.setattr(sqlite_file, "replace", recorded)


async def publish(run: Run, log: Any, recorder: Recorder, data: list[str], key: str | None = None) -> None:
    events = [Event(data=text, topic=f"t/{len(text) % 4}") for text in data]
    offsets = await log.append(events, key and IdempotencyKey(key))
    run.sent.update(zip(offsets, data, strict=True))
    run.acknowledged.append((offsets, data, key, (await log.bounds()).oldest))
    recorder.mark(len(run.acknowledged))


async def scripted(path: Path, recorder: Recorder, durability: str, openings: int) -> Run:
    """Singles, batches, keys, several at once, trimming and checkpoints, each time closed properly."""
    run = Run()
    for opening in range(openings):
        async with opened(SqliteLog(path, durability=durability, max_bytes=KEPT, _vfs=recorder.name)) as log:
            run.epoch = (await log.bounds()).epoch
            recorder.mark("open")
            for i in range(7):
                name = f"{opening}.{i}"
                await publish(run, log, recorder, [name])
                await publish(run, log, recorder, [f"{name} keyed", f"{name} too"], f"key {name}")
                await asyncio.gather(
                    *(publish(run, log, recorder, [f"{name} at once {j}" + "x" * 40 * j]) for j in range(6))
                )
            recorder.mark("closing")
    recorder.mark("closed")
    return run


def acknowledged(run: Run, disk: Disk) -> list[tuple[list[int], list[str], str | None, int]]:
    counted = [mark for mark in disk.marks if isinstance(mark, int)]
    return run.acknowledged[: len(counted)]


async def survivors(log: Any, disk: Disk) -> dict[int, str]:
    bounds = await log.bounds()
    return {entry.offset: entry.event.data or "" for entry in await read_all(log, bounds.oldest - 1, limit=500)}


async def check_full(run: Run, disk: Disk, directory: Path, vfs: str) -> None:
    disk.write_to(directory)
    async with opened(SqliteLog(directory / NAME, max_bytes=KEPT, _vfs=vfs)) as log:
        told = acknowledged(run, disk)
        bounds = await log.bounds()
        kept = await survivors(log, disk)
        assert kept.items() <= run.sent.items(), "an entry that nobody sent, or under another offset"
        if not told:
            return
        assert bounds.epoch == run.epoch
        oldest = run.acknowledged[min(len(told) + 8, len(run.acknowledged) - 1)][3]
        assert bounds.oldest <= oldest, "trimmed more than the run did"
        for offsets, data, key, _ in told:
            for offset, text in zip(offsets, data, strict=True):
                assert offset < bounds.oldest or kept[offset] == text
            if key is not None and offsets[0] > told[-1][0][0] - 12:
                events = [Event(data=text, topic=f"t/{len(text) % 4}") for text in data]
                assert await log.append(events, IdempotencyKey(key)) == offsets
        assert await log.append([Event(data="after", topic="t")]) == [bounds.newest + 1]


async def check_normal(run: Run, disk: Disk, directory: Path, vfs: str) -> bool:
    """Whether an acknowledged event was lost."""
    disk.write_to(directory)
    async with opened(SqliteLog(directory / NAME, durability="normal", max_bytes=KEPT, _vfs=vfs)) as log:
        told = acknowledged(run, disk)
        bounds = await log.bounds()
        kept = await survivors(log, disk)
        assert kept.items() <= run.sent.items()
        lost = [o for offsets, _, _, _ in told for o in offsets if o not in kept and o >= bounds.oldest]
        if lost:
            assert bounds.epoch != run.epoch, f"lost {lost} under the old epoch"
        if told and "closing" not in disk.marks:
            assert bounds.epoch != run.epoch, "an unclean end of a weak run"
        if "closed" in disk.marks:
            assert not lost
            assert bounds.epoch == run.epoch
        assert await log.append([Event(data="after", topic="t")]) == [bounds.newest + 1]
        return bool(lost)


@pytest.mark.usefixtures("small_checkpoints")
def test_full_durability_loses_nothing_acknowledged(tmp_path: Path, recorder: Recorder, quick: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "disk").mkdir()

    async def main() -> int:
        run = await scripted(tmp_path / "run" / NAME, recorder, "full", 2)
        assert run.acknowledged[-1][3] > 1, "the run is meant to trim"
        count = 0
        for disk in disks(tuple(recorder.operations), seeds=2):
            try:
                await check_full(run, disk, tmp_path / "disk", quick)
            except BaseException as error:
                error.add_note(f"power cut after operation {disk.done} of {len(recorder.operations)}, {disk.variant}")
                raise
            count += 1
        return count

    assert asyncio.run(main()) > 1_000


@pytest.mark.usefixtures("small_checkpoints")
def test_normal_durability_tells_a_loss_by_a_new_epoch(tmp_path: Path, recorder: Recorder, quick: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "disk").mkdir()

    async def main() -> int:
        run = await scripted(tmp_path / "run" / NAME, recorder, "normal", 1)
        losses = 0
        for disk in disks(tuple(recorder.operations), seeds=2):
            try:
                losses += await check_normal(run, disk, tmp_path / "disk", quick)
            except BaseException as error:
                error.add_note(f"power cut after operation {disk.done} of {len(recorder.operations)}, {disk.variant}")
                raise
        return losses

    assert asyncio.run(main()) > 0, "a weak run that never loses anything was not tested"

"""A disk that remembers everything done to it, so that the power can be cut at every moment afterwards.

`Recorder` is a VFS of SQLite that passes everything through and writes down each create,
write, truncate, sync and delete, in order, with marks of the test in between ("this append was
acknowledged"). `disks(operations)` then replays: for every prefix of the record it yields
what a disk may hold if the power went at that moment.

The model: what was synced is there. Of a file's writes and truncates since its last sync any
subset may be there, and a write may be torn at 512-byte sectors. Creates, deletes and
renames are kept in order by the file system's journal and are there from the next sync of any
file on (SQLite syncs the directory with a new file's first sync); before that, any number of
the last ones may be missing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apsw

__all__ = ["Disk", "Operation", "Recorder", "Unsynced", "disks"]

SECTOR = 512


class Operation(NamedTuple):
    """`kind` is create, write, truncate, sync, delete, rename or mark."""

    kind: str
    name: str = ""
    at: int = 0
    data: Any = None


class Recorder(apsw.VFS):
    """The default VFS, written down in `operations`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.operations: list[Operation] = []
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's own names
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        new = not path.exists()
        file = _RecordedFile(name, flags, self.operations, path.name)
        if new:
            self.operations.append(Operation("create", path.name))
        return file

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self.operations.append(Operation("delete", Path(filename).name))

    def mark(self, data: Any) -> None:
        self.operations.append(Operation("mark", data=data))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], operations: list[Operation], short: str) -> None:
        self._operations = operations
        self._name = short
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._operations.append(Operation("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._operations.append(Operation("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._operations.append(Operation("sync", self._name))


class Unsynced(apsw.VFS):
    """The default VFS without syncs, to look at many disks quickly."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        return _UnsyncedFile("", name, flags)


class _UnsyncedFile(apsw.VFSFile):
    def xSync(self, flags: int) -> None:  # noqa: N802
        pass


class Disk(NamedTuple):
    """What is left: files by name. `done` is how many operations had been done, `marks` the marks among them."""

    done: int
    variant: str
    files: dict[str, bytes]
    marks: list[Any]

    def write_to(self, directory: Path) -> None:
        for old in directory.iterdir():
            old.unlink()
        for name, content in self.files.items():
            (directory / name).write_bytes(content)


class _File:
    def __init__(self) -> None:
        self.synced = bytearray()
        self.pending: list[Operation] = []

    def content(self, keep: Sequence[Operation]) -> bytes:
        content = bytearray(self.synced)
        for operation in keep:
            _apply(content, operation)
        return bytes(content)

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.synced, operation)
        self.pending.clear()


def _apply(content: bytearray, operation: Operation) -> None:
    if operation.kind == "truncate":
        del content[operation.at :]
        return
    end = operation.at + len(operation.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[operation.at : end] = operation.data


def _some(pending: Sequence[Operation], dice: random.Random) -> list[Operation]:
    """A subset, in order: some writes whole, some not at all, some torn into sectors."""
    kept: list[Operation] = []
    for operation in pending:
        fate = dice.random()
        if fate < 0.4:
            kept.append(operation)
        elif fate < 0.7 and operation.kind == "write":
            for start in range(0, len(operation.data), SECTOR):
                if dice.random() < 0.5:
                    part = operation.data[start : start + SECTOR]
                    kept.append(Operation("write", operation.name, operation.at + start, part))
    return kept


def disks(operations: Sequence[Operation], *, seeds: int) -> Iterator[Disk]:
    """For each prefix of `operations`: nothing unsynced, everything, and `seeds` random subsets; equal ones once."""
    seen: set[int] = set()
    for disk in _all_disks(operations, seeds):
        equal = hash((len(disk.marks), frozenset(disk.files.items())))
        if equal not in seen:
            seen.add(equal)
            yield disk


def _all_disks(operations: Sequence[Operation], seeds: int) -> Iterator[Disk]:
    names: dict[str, _File] = {}
    names_synced: dict[str, _File] = {}
    journal: list[dict[str, _File]] = []  # the directory after each change since it was last synced
    marks: list[Any] = []
    for done, operation in enumerate(operations, 1):
        _do(operation, names, marks)
        if operation.kind in ("create", "delete", "rename"):
            journal.append(dict(names))
        elif operation.kind == "sync":
            names_synced = dict(names)
            journal.clear()
        now = list(marks)
        yield Disk(done, "none", {name: file.content([]) for name, file in names_synced.items()}, now)
        yield Disk(done, "all", {name: file.content(file.pending) for name, file in names.items()}, now)
        for seed in range(seeds):
            dice = random.Random(done * 1000 + seed)
            directory = dice.choice([names_synced, *journal])
            files = {name: file.content(_some(file.pending, dice)) for name, file in directory.items()}
            yield Disk(done, f"seed {seed}", files, now)


def _do(operation: Operation, names: dict[str, _File], marks: list[Any]) -> None:
    if operation.kind == "mark":
        marks.append(operation.data)
    elif operation.kind == "create":
        names[operation.name] = _File()
    elif operation.kind == "delete":
        del names[operation.name]
    elif operation.kind == "rename":
        names[operation.data] = names.pop(operation.name)
    elif operation.kind == "sync":
        names[operation.name].sync()
    else:
        names[operation.name].pending.append(operation)

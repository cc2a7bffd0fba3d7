"""A disk that fails when the test says so: SQLite's default VFS with faults in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

__all__ = ["FaultyDisk"]

Fault = Callable[[str, str], Exception | None]


class FaultyDisk(apsw.VFS):
    """`fault(what, file)` is asked at each write, sync and truncate; what it answers is raised.

    `what` is write, written (the same write, when it is done), sync or truncate, `file` the file's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fault: Fault | None = None
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's own names
        path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name)
        return _FaultyFile(self, name, flags, path.name)

    def check(self, what: str, file: str) -> None:
        error = self.fault and self.fault(what, file)
        if error:
            raise error


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int], short: str) -> None:
        self._disk = disk
        self._name = short
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.check("write", self._name)
        super().xWrite(data, offset)
        self._disk.check("written", self._name)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.check("truncate", self._name)
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.check("sync", self._name)
        super().xSync(flags)

"""Who may open the file: paths, the lock, and whether the file is ours.

Order matters. The lock is taken first: reading a file that this process has open elsewhere
and closing it would drop SQLite's POSIX locks on it (sqlite.org/howtocorrupt.html, 2.2).
Then the header is read without SQLite, so that another program's file is not touched, not
even by rolling back its journal. A new log is made whole under another name and renamed,
so a file at the log's path is always complete, whatever moment the power went.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from pathlib import Path

from ...exceptions import LogForeign, LogInUse, LogUnavailable
from ...position import new_epoch
from .schema import APPLICATION_ID, VERSION, create

__all__ = ["FileLock", "check_path", "make_if_missing", "path_of", "replace"]

_MAGIC = b"SQLite format 3\0"


class FileLock:
    """`<path>.lock`, held by flock: it goes with the process, whatever ends that. The file stays."""

    def __init__(self, path: Path) -> None:
        """Take the lock. Raises `LogInUse` naming the holder, `LogUnavailable`."""
        self.path = path.with_name(path.name + ".lock")
        self.made = False
        try:
            self._descriptor = self._take(path)
        except OSError as error:
            advice = "remove that link" if error.errno == errno.ELOOP else "make it and its directory writable"
            raise LogUnavailable(f"cannot lock {self.path}: {error.strerror}; {advice}") from error

    def _take(self, path: Path) -> int:
        while True:
            self.made = not self.path.exists()
            # NOFOLLOW: in a directory of many users, a link put here would have us empty the file it names.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._same(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(descriptor)
                raise LogInUse(
                    f"{path} is open in process {holder}; one process owns a log. "
                    "Stop that one, use another file, or publish to its hub over HTTP"
                ) from None
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _same(self, descriptor: int) -> bool:
        # Another opener may have removed the file between our open and our lock.
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self, *, remove: bool = False) -> None:
        """Let go; with `remove` the lock file goes too (only when the file was not ours after all)."""
        with contextlib.suppress(OSError):
            if remove:
                self.path.unlink()
            else:
                os.ftruncate(self._descriptor, 0)
        with contextlib.suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # a forked child has the descriptor too: closing is not enough
        os.close(self._descriptor)


def check_path(path: Path) -> None:
    """Raises `LogUnavailable` with what to do when a log cannot be at `path`."""
    parent = path.parent
    if not parent.is_dir():
        what = "is not a directory" if parent.exists() else "does not exist"
        raise LogUnavailable(f"cannot open the log {path}: {parent} {what}; create it, or name another path")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise LogUnavailable(f"cannot open the log {path}: {parent} is not writable for this user; change its owner")
    if path.exists():
        if not path.is_file():
            raise LogUnavailable(f"cannot open the log {path}: it is not a regular file; name another path")
        if not os.access(path, os.R_OK | os.W_OK):
            raise LogUnavailable(f"cannot open the log {path}: the file is not readable and writable for this user")


def make_if_missing(path: Path, *, vfs: str | None) -> None:
    """A log at `path`, unless there is one. Raises `LogForeign`, `LogUnavailable`, `apsw.Error`, `OSError`."""
    if path.exists() and path.stat().st_size > 0:
        _check_ours(path)
        return
    _check_nothing_left(path)
    unfinished = path.with_name(path.name + ".new")
    for name in (unfinished, path):
        for ending in ("-wal", "-journal", "-shm"):
            Path(f"{name}{ending}").unlink(missing_ok=True)
    unfinished.unlink(missing_ok=True)
    create(unfinished, new_epoch(), vfs=vfs)
    replace(unfinished, path)


def _check_nothing_left(path: Path) -> None:
    """Raises `LogUnavailable` when a file that was here left its newest entries behind.

    After a crash they stand in the WAL alone. Who moves the database without it and starts
    again must not lose them to a new log; nor may the new one take them for its own.
    """
    for ending in ("-wal", "-journal"):
        left = Path(f"{path}{ending}")
        if left.exists() and left.stat().st_size > 0:
            raise LogUnavailable(
                f"there is {left} without its {path.name}: it holds what was written last. "
                "Move it to where the database is now, or delete it if that is gone for good"
            )


def replace(unfinished: Path, path: Path) -> None:
    """Give the finished file its name, and make that durable."""
    unfinished.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_ours(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise LogForeign(
            f"{path} is not a SQLite database and was left as it is; name another path"
            " (if it was a log, its first bytes are damaged: restore it from a backup)"
        )
    # https://sqlite.org/fileformat2.html 1.3: user version at 60, application id at 68, big-endian.
    version, application = struct.unpack_from(">I", header, 60)[0], struct.unpack_from(">I", header, 68)[0]
    if application != APPLICATION_ID:
        raise LogForeign(f"{path} is the database of another program and was left as it is; name another path")
    if version > VERSION:
        raise LogForeign(
            f"{path} was made by a newer echostream (format {version}, this one knows {VERSION}); "
            "upgrade, or name another path"
        )
    if version < 1:
        raise LogForeign(f"{path} has format {version}, which this echostream cannot read; name another path")


def path_of(name: str | os.PathLike[str]) -> Path:
    """The real path: two names of one file must meet at one lock."""
    return Path(os.path.realpath(name))

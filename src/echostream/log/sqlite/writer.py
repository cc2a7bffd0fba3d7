"""The writer: one thread that owns the file, commits groups, and says truly what became of them.

**Group commit.** The thread takes what waits, at most 256 appends or 4 MiB, as one transaction:
one sync pays for all. Then one `call_soon_threadsafe` hands results and entries to the loop.

**What a failed commit means.** A group is answered as failed only when it cannot come back.

- An error before COMMIT, or no room in it (SQLITE_FULL; SQLITE_IOERR_WRITE with ENOSPC and its like):
  the commit frame is the last one written (the device is taken to be "powersafe", SQLite's default,
  so none is repeated as padding), so it is not whole in the WAL and no recovery can find it.
  Rolled back: nothing was appended.
- Another I/O error in COMMIT, the sync above all, but also a write of which only the answer failed:
  the commit frame may be in the WAL although SQLite did not publish it. This process will not
  see it, but a crash and recovery would. So before anyone is answered the connection is closed
  and opened again (what a failed sync left behind must not be trusted) and a *fence* is
  committed: a small transaction that takes the same place in the WAL. Frames carry a running
  checksum, so what the failed group wrote beyond the fence can never be read as valid again.
  Fence committed: nothing was appended, and that is durable.
- The fence fails too: the group's fate is not known, and its publishers are told exactly that
  (`LogUnavailable`, "not known"). The next append opens the file again and its own commit is the
  fence. A repeat with the same idempotency key is right in both cases.

For this no recovery may run inside the process: the reader keeps one connection open all the
time, so the WAL's index lives on when the writer's connection is closed.

**Below full durability** commits are not synced. Before the first of a run, `clean = 0` is
committed with a sync; a proper close syncs everything and sets it back. Who opens a file with
`clean = 0` begins a new epoch: whatever was lost, no offset of the old epoch means another entry.
"""

from __future__ import annotations

import contextlib
import errno
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import msgspec

from ...exceptions import LogCorrupt, LogError, LogUnavailable
from ...position import new_epoch
from ..base import Bounds, Page
from .append import Append, Retention, Transaction, Writing
from .database import Database
from .errors import is_corruption, translated
from .file import FileLock, check_path, make_if_missing
from .reader import Reader
from .schema import connect_to_write, load_state, save_state

__all__ = ["Committed", "Writer"]

GROUP_APPENDS = 256
GROUP_BYTES = 4 * 1024 * 1024
CHECKPOINT_FRAMES = 1_000
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
RESTART_FRAMES = 3_000
"""At this many frames (12 MiB) the checkpoint waits for the readers, so that the WAL begins anew and stays bounded."""


class Committed(msgspec.Struct):
    """What the loop is handed after a group: each append's answer, the entries, the bounds, why all failed, and
    whether anything was written (repeats and refusals alone do not tell whether writing works)."""

    answers: Sequence[tuple[Append, list[int] | Exception]]
    page: Page | None
    size: int
    bounds: Bounds
    failure: LogError | None = None
    wrote: bool = False


class Writer:
    """Owns the file from `start` to `stop`. `deliver` is called in the writer's thread."""

    def __init__(
        self, path: Path, *, full: bool, retention: Retention, now: Callable[[], int], vfs: str | None
    ) -> None:
        self.path = path
        self._full = full
        self._retention = retention
        self._now = now
        self._vfs = vfs
        self._queue: queue.SimpleQueue[Append | None] = queue.SimpleQueue()
        self._database: Database | None = None
        self._writing = Writing()
        self._frames = 0
        self._identity: tuple[tuple[int, int] | None, ...] | None = None
        self._restart_at = RESTART_FRAMES
        self._weak = False  # whether commits of this run may be unsynced
        self._trusted = True  # whether no sync failed: what an unsynced commit left behind may be lost for good
        self._unsettled = False  # whether a group of unknown fate may still be in the WAL

    def start(
        self,
        opened: Callable[[Reader, Bounds], None],
        failed: Callable[[Exception], None],
        deliver: Callable[[Committed], None],
        closed: Callable[[], None],
    ) -> None:
        """Open in the writer's own thread, then serve until `stop`. Exactly one of `opened` and `failed` is
        called, then `deliver` for each group, then `closed`; all in that thread."""

        def run() -> None:
            try:
                lock, reader = self._open()
            except Exception as error:  # noqa: BLE001 - raised again by open(), in the loop
                failed(error)
                return
            try:
                opened(reader, self._bounds())
                self._serve(deliver)
            finally:
                self._close(reader, lock)
                closed()

        threading.Thread(target=run, name="echostream-log-write", daemon=True).start()

    def put(self, append: Append) -> None:
        """Queue an append. Any thread."""
        self._queue.put(append)

    def stop(self) -> None:
        """Finish what is queued, then close. Any thread."""
        self._queue.put(None)

    # --- in the writer's thread from here on

    def _open(self) -> tuple[FileLock, Reader]:
        try:
            check_path(self.path)
        except OSError as error:  # a directory on the way that may not be entered
            raise translated(error, self.path) from error
        lock = FileLock(self.path)
        reader = Reader(self.path, vfs=self._vfs)
        ours = False
        try:
            make_if_missing(self.path, vfs=self._vfs)
            ours = True
            database = self._connect()
            self._check(database)
            if not self._writing.state.clean:
                self._new_epoch(database)
            reader.hold_open()
            self._identity = self._identify()
        except BaseException as error:
            reader.close()
            self._drop()
            lock.release(remove=lock.made and not ours)
            if isinstance(error, (apsw.Error, OSError)):
                raise translated(error, self.path) from error
            raise
        return lock, reader

    def _connect(self) -> Database:
        self._check_in_place()
        if self._database is None:
            database = connect_to_write(self.path, vfs=self._vfs)
            try:
                self._writing.reset(load_state(database), database.value("SELECT count(*) FROM keys"))
                if self._weak:
                    database.pragma("synchronous", "normal")
                database.on_commit(self._note_frames)
            except BaseException:
                database.close()
                raise
            self._database = database
        return self._database

    def _check_in_place(self) -> None:
        """Raises `LogUnavailable` when the paths no longer name the files that were opened.

        SQLite would go on writing to files without a name, and every acknowledgement would be
        false; a file put in their place may be anybody's.
        """
        if self._identity not in (None, self._identify()):
            raise LogUnavailable(
                f"the log {self.path} or its WAL was moved, deleted or replaced while it was open; start again"
            )

    def _identify(self) -> tuple[tuple[int, int] | None, ...]:
        found: list[tuple[int, int] | None] = []
        for path in (self.path, Path(f"{self.path}-wal")):
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino))
        return tuple(found)

    def _note_frames(self, frames: int) -> None:
        self._frames = frames

    def _check(self, database: Database) -> None:
        """The tables, and the state row against the entries. Raises `LogCorrupt`."""
        database.row("SELECT (SELECT id FROM topics LIMIT 1), (SELECT first FROM keys LIMIT 1)")
        first, last = (database.value(f"SELECT {edge}(offset) FROM entries") for edge in ("min", "max"))  # noqa: S608
        state = self._writing.state
        expected = (state.oldest, state.newest) if state.oldest <= state.newest else (None, None)
        if (first, last) != expected:
            raise LogCorrupt(
                f"the log {self.path} is damaged: its state says entries {expected[0]} to {expected[1]}, its table has "
                f"{first} to {last}; it was left as it is: restore a backup, or name another path"
            )

    def _new_epoch(self, database: Database) -> None:
        state = msgspec.structs.replace(self._writing.state, epoch=new_epoch(), clean=1)
        with database.writing():
            save_state(database, state)
        self._writing.state = state

    def _bounds(self) -> Bounds:
        state = self._writing.state
        return Bounds(state.epoch, state.oldest, state.newest)

    def _serve(self, deliver: Callable[[Committed], None]) -> None:
        going = True
        while going:
            group, going = self._gather()
            if group:
                deliver(self._commit(group))
                self._checkpoint()

    def _gather(self) -> tuple[list[Append], bool]:
        append = self._queue.get()
        group: list[Append] = []
        size = 0
        with contextlib.suppress(queue.Empty):
            while append is not None:
                group.append(append)
                size += append.size
                if len(group) >= GROUP_APPENDS or size >= GROUP_BYTES:
                    return group, True
                append = self._queue.get_nowait()
            return group, False
        return group, True

    def _commit(self, group: Sequence[Append]) -> Committed:
        try:
            return self._try_commit(group)
        except Exception as error:  # noqa: BLE001 - whatever it was, the publishers must be answered
            failure = self._settle(error)
            return Committed([(append, failure) for append in group], None, 0, self._bounds(), failure)

    def _try_commit(self, group: Sequence[Append]) -> Committed:
        database = self._connect()
        if not self._full and not self._weak:
            self._go_weak(database)
        database.run("BEGIN IMMEDIATE")
        transaction = Transaction(database, self._writing, self._retention, self._now())
        answers = list(zip(group, transaction.run(group), strict=True))
        if not transaction.changed:
            database.run("ROLLBACK")
            return Committed(answers, None, 0, self._bounds())
        try:
            database.run("COMMIT")
        except apsw.Error as error:
            raise _InCommitError from error
        self._unsettled = False
        self._writing.state = transaction.state
        page = Page(transaction.entries, transaction.state.newest, transaction.state.epoch)
        if not transaction.entries:
            page = None
        return Committed(answers, page, transaction.size, self._bounds(), wrote=True)

    def _go_weak(self, database: Database) -> None:
        state = msgspec.structs.replace(self._writing.state, clean=0)
        with database.writing():
            save_state(database, state)
        self._writing.state = state
        database.pragma("synchronous", "normal")
        self._weak = True

    def _settle(self, error: Exception) -> LogError:
        """After a failed group: make sure that it is gone, and say what is known."""
        no_room = self._database is not None and self._database.system_error in NO_ROOM
        self._drop()
        in_commit = isinstance(error, _InCommitError)
        cause = error.__cause__ if in_commit else error
        if isinstance(cause, LogError):
            return cause
        if not isinstance(cause, (apsw.Error, OSError)):
            return LogError(f"appending failed, nothing was appended: {cause!r}")
        never_written = not in_commit or (_is_refused_write(cause, no_room) and not self._unsettled)
        if not never_written and not self._fence():
            return LogUnavailable(
                f"writing to {self.path} failed ({cause}); it is not known whether this append was kept. "
                "Repeat it with the same idempotency key"
            )
        if no_room or is_corruption(cause) or not isinstance(cause, apsw.IOError):
            return translated(apsw.FullError(str(cause)) if no_room else cause, self.path)
        self._trusted = False
        return LogUnavailable(f"writing to {self.path} failed ({cause}); nothing was appended")

    def _fence(self) -> bool:
        """Take the failed group's place in the WAL, synced. Whether that worked."""
        self._trusted = False
        self._unsettled = True
        try:
            database = self._connect()
            database.pragma("synchronous", "full")
            state = msgspec.structs.replace(self._writing.state, fence=self._writing.state.fence + 1)
            with database.writing():
                save_state(database, state)
            if self._weak:
                database.pragma("synchronous", "normal")
        except (apsw.Error, LogError):
            self._drop()
            return False
        self._writing.state = state
        self._unsettled = False
        return True

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _checkpoint(self) -> None:
        if self._frames < CHECKPOINT_FRAMES or self._database is None:
            return
        restart = self._frames >= self._restart_at
        try:
            self._database.checkpoint(restart=restart)
            self._restart_at = RESTART_FRAMES
        except apsw.BusyError:  # a long reader from outside: not waited for at each commit
            self._restart_at = self._frames + RESTART_FRAMES
        except apsw.FullError:
            pass  # the next commit tries again
        except apsw.Error:
            self._drop()  # the pages are still in the WAL, so a later checkpoint writes them all again
            self._trusted = False

    def _close(self, reader: Reader, lock: FileLock) -> None:
        reader.close()
        with contextlib.suppress(apsw.Error, LogError):
            if self._weak and self._trusted:
                database = self._connect()
                database.pragma("synchronous", "full")
                with database.writing():
                    save_state(database, msgspec.structs.replace(self._writing.state, clean=1))
        self._drop()  # the last connection to close checkpoints and removes the WAL
        lock.release()


def _is_refused_write(error: Exception, no_room: bool) -> bool:
    code = getattr(error, "extendedresult", 0)
    return isinstance(error, apsw.FullError) or (no_room and code == apsw.SQLITE_IOERR_WRITE)


class _InCommitError(Exception):
    """COMMIT itself failed; the cause is SQLite's error."""

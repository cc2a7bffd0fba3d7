"""What SQLite says, in the log's words."""

from __future__ import annotations

import apsw

from ...exceptions import LogCorrupt, LogError, LogFull, LogUnavailable

__all__ = ["is_corruption", "translated"]


def is_corruption(error: BaseException) -> bool:
    """Whether the file is damaged, rather than out of reach."""
    # SQLError: a table of ours is not there, or is another. Our statements themselves are constants.
    return isinstance(error, (apsw.CorruptError, apsw.NotADBError, apsw.SQLError))


def translated(error: apsw.Error | OSError, path: object) -> LogError:
    """The `LogError` for an error of SQLite or the system."""
    if is_corruption(error):
        return LogCorrupt(
            f"the log {path} is damaged ({error}); it was left as it is: restore a backup, or name another path"
        )
    if isinstance(error, apsw.FullError):
        return LogFull(f"no room for the log {path}; nothing was appended. Free disk space; no restart is needed")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return LogUnavailable(f"another program holds a lock on {path}; end it")
    return LogUnavailable(f"the log {path} cannot be used now: {error}")

"""The log in one SQLite file. `SqliteLog` is its face; `log.py` says what lies behind it."""

from .log import SqliteLog

__all__ = ["SqliteLog"]

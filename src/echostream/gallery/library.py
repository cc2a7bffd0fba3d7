"""Something to search and to export: what Python's standard library defines, in an SQLite file made at first use."""

from __future__ import annotations

import ast
import atexit
import functools
import shutil
import sqlite3
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

__all__ = ["library"]

SCHEMA = """
create table definitions (
    id integer primary key, module text, name text, kind text, line integer, decorators text, doc text
);
create virtual table texts using fts5(name, doc, content='definitions', content_rowid='id', prefix='1 2 3');
"""
LEFT_OUT = {"idlelib", "lib2to3", "site-packages", "test", "tests", "turtledemo"}
KINDS = {ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "async function"}

_making = threading.Lock()


def library() -> Path:
    """The file. Making it takes seconds, so call this on a thread; it is removed when the process ends."""
    with _making:
        return _made()


@functools.cache
def _made() -> Path:
    folder = tempfile.mkdtemp(prefix="echostream-gallery-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder, "library.db")
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(SCHEMA)
        database.executemany(
            "insert into definitions (module, name, kind, line, decorators, doc) values (?, ?, ?, ?, ?, ?)",
            _definitions(Path(sysconfig.get_path("stdlib"))),
        )
        database.execute("insert into texts (texts) values ('rebuild')")
    return path


def _definitions(root: Path) -> Iterator[tuple[str, str, str, int, str, str]]:
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if LEFT_OUT.isdisjoint(parts):
            yield from _in_module(".".join(parts).removesuffix(".__init__"), file)


def _in_module(module: str, file: Path) -> Iterator[tuple[str, str, str, int, str, str]]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = " ".join(f"@{ast.unparse(decorator)}" for decorator in node.decorator_list)
            yield module, node.name, KINDS[type(node)], node.lineno, decorators, ast.get_docstring(node) or ""

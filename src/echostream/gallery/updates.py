"""Ten updates of a job that takes a while, as NDJSON. Each is flushed; else rows are gathered for up to 50 ms.

Try it:

    uvicorn echostream.gallery.updates:app
    curl -N http://127.0.0.1:8000/updates  # a generator, which yields FLUSH
    curl -N http://127.0.0.1:8000/updates/writer  # a function, which is given a Writer
"""

from __future__ import annotations

import ast
import asyncio
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from echostream import FLUSH, NDJSONResponse, Writer

__all__ = ["PACKAGES", "app", "measure", "updates", "write_updates"]

PACKAGES = ("asyncio", "concurrent", "ctypes", "email", "html", "importlib", "json", "logging", "unittest", "xml")


def measure(package: str) -> dict[str, Any]:
    """Read a package of the standard library, and count what it defines."""
    files = list(Path(sysconfig.get_path("stdlib"), package).rglob("*.py"))
    kinds = Counter(type(node) for file in files for node in ast.walk(ast.parse(file.read_bytes())))
    functions = kinds[ast.FunctionDef] + kinds[ast.AsyncFunctionDef]
    return {"package": package, "files": len(files), "classes": kinds[ast.ClassDef], "functions": functions}


def updates() -> Iterator[Any]:
    """A plain generator may block: it runs on a thread of its own."""
    for done, package in enumerate(PACKAGES, 1):
        yield {"done": done, "of": len(PACKAGES), **measure(package)}
        yield FLUSH


async def write_updates(out: Writer) -> None:
    for done, package in enumerate(PACKAGES, 1):
        measured = await asyncio.to_thread(measure, package)
        await out.write({"done": done, "of": len(PACKAGES), **measured})
        await out.flush()


app = Starlette(
    routes=[Route("/updates", NDJSONResponse(updates)), Route("/updates/writer", NDJSONResponse(write_updates))]
)

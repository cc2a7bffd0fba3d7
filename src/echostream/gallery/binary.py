"""Bytes: an archive of this package's source, packed while it is sent. No file is made, and nothing is held whole.

Try it:

    uvicorn echostream.gallery.binary:app
    curl http://127.0.0.1:8000/binary | tar tzv
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from echostream import BytesStreamResponse

__all__ = ["app", "archive", "taken", "without_owner"]

PACKAGE = Path(__file__).parents[1]


def without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who owns the files here is nobody's business there."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def archive() -> Iterator[bytes]:
    packed = io.BytesIO()
    with tarfile.open(mode="w|gz", fileobj=packed) as tar:
        for file in sorted(PACKAGE.rglob("*.py")):
            tar.add(file, file.relative_to(PACKAGE.parent), filter=without_owner)
            yield taken(packed)
    yield taken(packed)


def taken(packed: io.BytesIO) -> bytes:
    data = packed.getvalue()
    packed.seek(0)
    packed.truncate()
    return data


response = BytesStreamResponse(archive, media_type="application/gzip", filename="echostream.tar.gz")
app = Starlette(routes=[Route("/binary", response)])

"""Bytes that a browser shows as they come: a picture of the Mandelbrot set, computed and sent line by line.

Try it:

    uvicorn echostream.gallery.picture:app
    curl http://127.0.0.1:8000/picture | file -

Open http://127.0.0.1:8000/picture in a browser to watch it grow.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from starlette.applications import Starlette
from starlette.routing import Route

from echostream import BytesStreamResponse

__all__ = ["HEIGHT", "WIDTH", "app", "chunk", "picture", "shade"]

WIDTH, HEIGHT, DEPTH = 384, 256, 64


def shade(point: complex) -> int:
    """How long the point takes to run away, as a grey; 0 when it never does."""
    z = 0j
    for step in range(DEPTH):
        z = z * z + point
        if abs(z) > 2:
            return 255 - int(255 * (step / DEPTH) ** 0.5)
    return 0


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of PNG (ISO/IEC 15948, section 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture() -> Iterator[bytes]:
    """On a thread of its own: computing would hold up the loop."""
    yield b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", WIDTH, HEIGHT, 8, 0, 0, 0, 0))
    squeeze = zlib.compressobj()
    for y in range(HEIGHT):
        imaginary = (y / HEIGHT - 0.5) * 2.4
        line = bytes(shade(complex(x / WIDTH * 3.6 - 2.5, imaginary)) for x in range(WIDTH))
        yield chunk(b"IDAT", squeeze.compress(b"\0" + line) + squeeze.flush(zlib.Z_SYNC_FLUSH))
    yield chunk(b"IDAT", squeeze.flush()) + chunk(b"IEND", b"")


app = Starlette(routes=[Route("/picture", BytesStreamResponse(picture, media_type="image/png"))])

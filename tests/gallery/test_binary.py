"""Bytes that other programs read: an archive and a picture."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import echostream
from echostream.gallery.binary import app as binary
from echostream.gallery.picture import HEIGHT, WIDTH
from echostream.gallery.picture import app as picture
from echostream.testing import drive

PACKAGE = Path(echostream.__file__).parent


async def packed() -> bytes:
    async with drive(binary, "GET", "/binary", within=20) as response:
        headers = (await response.head()).headers
        assert headers["content-type"] == "application/gzip"
        assert headers["content-disposition"] == "attachment; filename=echostream.tar.gz"
        assert "content-length" not in headers
        body = await response.read()
        assert await response.ended() == "complete"
    return body


async def test_the_archive_holds_the_source():
    with tarfile.open(fileobj=io.BytesIO(await packed())) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        owners = {(member.uid, member.gid, member.uname, member.gname) for member in tar}
        held = {name: file.read() for name, file in files.items() if file is not None}
    assert held == {f"echostream/{f.relative_to(PACKAGE)}": f.read_bytes() for f in PACKAGE.rglob("*.py")}
    assert owners == {(0, 0, "", "")}


async def test_half_an_archive_is_not_taken_for_all_of_it():
    body = await packed()
    with pytest.raises(EOFError), tarfile.open(fileobj=io.BytesIO(body[: len(body) // 2])) as tar:
        tar.getmembers()


def chunks_of(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, data, check = png[at + 4 : at + 8], png[at + 8 : at + 8 + size], png[at + 8 + size : at + 12 + size]
        assert struct.unpack(">I", check)[0] == zlib.crc32(kind + data)
        yield kind, data
        at += 12 + size


async def test_the_picture_grows_and_is_one():
    async with drive(picture, "GET", "/picture", within=30) as response:
        assert (await response.head()).headers["content-type"] == "image/png"
        sent = [chunk async for chunk in response]
        assert await response.ended() == "complete"
    body = b"".join(sent)
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    kinds = [kind for kind, _ in chunks_of(body)]
    assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == (b"IHDR", {b"IDAT"}, b"IEND")
    unzip, pixels = zlib.decompressobj(), b""
    for number, data in enumerate(data for kind, data in chunks_of(body) if kind == b"IDAT"):
        pixels += unzip.decompress(data)
        assert len(pixels) == min(number + 1, HEIGHT) * (WIDTH + 1), "a line is all there when it is sent"
    assert unzip.eof
    lines = [pixels[at : at + WIDTH + 1] for at in range(0, len(pixels), WIDTH + 1)]
    assert len(lines) == HEIGHT
    assert {line[0] for line in lines} == {0}, "the filter that each line says it has"
    assert lines[1:] == lines[:0:-1], "the set is its own mirror image"
    assert {lines[HEIGHT // 2][WIDTH // 2], lines[0][1]} == {0, 255}
    assert len(sent) > 2, "not when it is whole"
    assert len(sent[0]) < 100, "the first bytes wait for nothing"

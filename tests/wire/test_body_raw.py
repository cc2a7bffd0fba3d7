"""Text and bytes as they are; anything else is refused with what to do."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from echostream.event import Event
from echostream.exceptions import InvalidItem, InvalidSetting
from echostream.wire import BytesBody, StreamEnd, TextBody
from support.bodies import Color, Word, body_of


def test_text() -> None:
    assert TextBody().encode(["a\r\n", "", "é✓\0", Word("w"), Color.RED]) == "a\r\né✓\0w=red".encode()
    assert TextBody().encode([""]) == b""
    assert body_of(TextBody(), []) == b""


def test_bytes() -> None:
    items = [b"a\0", bytearray(b"b"), memoryview(b"cd"), memoryview(b"e-f-")[::2], memoryview(array("H", [0x3031]))]
    assert BytesBody().encode(items) == b"a\0bcdef" + array("H", [0x3031]).tobytes()
    assert body_of(BytesBody(), []) == b""


def test_what_is_given_again_was_copied() -> None:
    buffer = bytearray(b"abc")
    sent = BytesBody().encode([buffer])
    buffer[:] = b"xyz"
    assert sent == b"abc"


def released() -> memoryview:
    view = memoryview(b"x")
    view.release()
    return view


@pytest.mark.parametrize(
    ("body", "good", "item", "reason"),
    [
        (TextBody(), "a", 5, "is of type int, not text; yield str"),
        (TextBody(), "a", b"x", "is of type bytes, not text"),
        (TextBody(), "a", None, "is of type NoneType, not text"),
        (TextBody(), "a", Event(data="x"), "is of type Event, not text"),
        (TextBody(), "a", "\ud800", "its text is not valid Unicode (a lone surrogate)"),
        (BytesBody(), b"a", "x", "is text, not bytes; encode it"),
        (BytesBody(), b"a", 5, "is of type int, not bytes; yield bytes, bytearray or memoryview"),
        (BytesBody(), b"a", [1], "is of type list, not bytes"),
        (BytesBody(), b"a", array("b", [1]), "is of type array, not bytes"),
        (BytesBody(), b"a", released(), "is of type memoryview and cannot be encoded: ValueError: operation forbidden"),
    ],
)
def test_bad_items_are_told(body: Any, good: Any, item: Any, reason: str) -> None:
    with pytest.raises(InvalidItem) as caught:
        body.encode([good, good, item, object()])
    assert caught.value.item == 3
    assert reason in caught.value.reason
    with pytest.raises(InvalidItem, match="item 1"):
        body.encode([item])
    assert body.encode([good]) == b"a"


@pytest.mark.parametrize("media_type", ["", "image", "a/b\r\nX: y", "a/b\n", "a/ü"])
def test_a_media_type_is_a_headers_value(media_type: str) -> None:
    with pytest.raises(InvalidSetting, match="media_type"):
        BytesBody(media_type)


def test_their_faces() -> None:
    for body, face in (
        (TextBody(), ("text", "text/plain; charset=utf-8", True)),
        (BytesBody(), ("bytes", "application/octet-stream", False)),
        (BytesBody("image/png"), ("bytes", "image/png", False)),
    ):
        assert (body.name, body.media_type, body.by_item) == face
        assert (body.heartbeat, body.tells_end, body.finish()) == (b"", False, b"")
        body.describe(["a"])
        assert body.control(StreamEnd(reason="x"), id="k.1") == b""

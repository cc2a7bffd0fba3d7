"""Lines of a pipe in groups: nothing waits for more, nothing is over a bound, no line is lost."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from echostream.cli.pipe import GROUP_BYTES, GROUP_EVENTS, MAX_LINE_BYTES, Group, Piped, groups_of
from echostream.event import Event
from echostream.exceptions import InvalidEvent, TooLarge
from echostream.wire import parse_batch


@contextmanager
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        for descriptor in (reading, writing):
            try:
                os.close(descriptor)
            except OSError:
                pass


def of_file(content: bytes, piped: Piped, tmp_path) -> Iterator[Group]:
    file = tmp_path / "lines"
    file.write_bytes(content)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        yield from groups_of(descriptor, piped)
    finally:
        os.close(descriptor)


def test_a_line_does_not_wait_for_the_next() -> None:
    with pipe() as (reading, writing):
        groups = groups_of(reading, Piped(text=False))
        for line in (b"one\n", b'{"a": 1.0}\n', b"two\r\n"):
            os.write(writing, line)
            group = next(groups)
            assert [event.data for event in group.events] == [line.decode().rstrip()]
        os.write(writing, b"thr")
        os.write(writing, b"ee")
        os.close(writing)
        assert [event.data for event in next(groups).events] == ["three"]
        assert list(groups) == []


def test_many_lines_go_together_within_the_bounds(tmp_path) -> None:
    lines = [b'"%d"' % number for number in range(5000)] + [b"x" * 100_000] * 12 + [b"\x01" * 200_000, b"last"]
    groups = list(of_file(b"\n".join(lines), Piped(text=True, event="e", key="k"), tmp_path))
    events = [event for group in groups for event in group.events]
    assert events == [Event(data=line.decode(), event="e", key="k") for line in lines]
    for group in groups:
        assert parse_batch(group.body) == group.events
        assert len(group.events) <= GROUP_EVENTS
        assert len(group.body) <= GROUP_BYTES or len(group.events) == 1
    assert len(groups) < 25


def test_lines_cut_anywhere(tmp_path) -> None:
    with pipe() as (reading, writing):
        groups = groups_of(reading, Piped(text=False))
        for byte in "a\n\r\n\n\n\u20ac\n b".encode():
            os.write(writing, bytes([byte]))
        os.close(writing)
        assert [event.data for group in groups for event in group.events] == ["a", "\u20ac", " b"]


@pytest.mark.parametrize(
    ("line", "json"),
    [(b"1", True), (b'{"a": 1.00}', True), (b"null", True), (b"NaN", False), (b"1e999", False), (b"{a}", False),
     (b"[" * 9999, False), (b"01", False), (b"[2026] started", False)],
)  # fmt: skip
def test_json_is_what_parses(line: bytes, json: bool) -> None:
    assert Piped(text=False).read(line, 1) == Event(data=line.decode(), json=json)
    assert Piped(text=True).read(line, 1) == Event(data=line.decode())


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        (b"\xff", InvalidEvent, "line 3: is not UTF-8"),
        (b"x" * (MAX_LINE_BYTES + 1), TooLarge, f"line 3: {MAX_LINE_BYTES + 1} bytes, the limit is {MAX_LINE_BYTES}"),
    ],
)
def test_what_stands_before_a_bad_line_is_given_first(tmp_path, bad: bytes, error: type[Exception], says: str) -> None:
    found: list[Event] = []

    def take() -> None:
        for group in of_file(b"a\n\n" + bad + b"\nb\n", Piped(text=True), tmp_path):
            found.extend(group.events)

    with pytest.raises(error, match=says):
        take()
    assert [event.data for event in found] == ["a"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    with Path("/dev/zero").open("rb") as endless, pytest.raises(TooLarge, match="line 1: more than"):
        next(groups_of(endless.fileno(), Piped(text=True)))

"""The rules of coming back, by numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.client import Backoff, Verdict, ends_for_good, retry_after_seconds, verdict

NOW = 1_767_323_045.0  # Fri, 02 Jan 2026 03:04:05 GMT


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([200], Verdict.STREAM),
        ([204], Verdict.ENDED),
        ([408, 425, 429, 500, 502, 503, 504, 507, 599], Verdict.AGAIN),
        ([100, 201, 301, 304, 400, 401, 403, 404, 406, 409, 410, 422, 451, 600], Verdict.GIVE_UP),
    ],
)
def test_verdict(statuses: list[int], expected: Verdict) -> None:
    assert {verdict(status) for status in statuses} == {expected}


def test_ends() -> None:
    assert all(map(ends_for_good, ["finished", "cancelled", "expired"]))
    assert not any(map(ends_for_good, ["deadline", "drain", "quota", "something new", ""]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("86400", 300),
        ("9" * 5000, 300),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10),
        ("Friday, 02-Jan-26 03:04:15 GMT", 10),
        ("Fri Jan  2 03:04:15 2026", 10),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10),
        ("Fri, 02 Jan 2026 04:04:15 +0100", 10),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0),
        ("Fri, 02 Jan 2099 03:00:00 GMT", 300),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("\u0665", None),
        ("Fri, 99 Jan 2026 03:04:15 GMT", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(text, NOW) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_bounded(text: str) -> None:
    seconds = retry_after_seconds(text, NOW)
    assert seconds is None or 0 <= seconds <= 300


def waits(backoff: Backoff, count: int, random: float, **given: float) -> list[float]:
    return [backoff.wait(0.0, random=lambda: random, **given) for _ in range(count)]


def test_waits_grow_to_the_cap() -> None:
    assert waits(Backoff(), 7, 1.0) == [1, 2, 4, 8, 16, 30, 30]
    assert waits(Backoff(), 7, 0.0) == [0] * 7  # the whole range is drawn from
    assert waits(Backoff(), 5000, 1.0)[-1] == 30


def test_what_the_stream_asked_for_is_a_floor() -> None:
    assert waits(Backoff(), 6, 0.0, floor=2.0) == [2] * 6
    assert waits(Backoff(), 6, 1.0, floor=2.0) == [3, 4, 6, 10, 18, 30]
    assert waits(Backoff(), 3, 1.0, floor=1e12) == [30, 30, 30]


def test_retry_after_is_waited_for_beyond_the_cap() -> None:
    assert waits(Backoff(), 1, 0.0, retry_after=120.0) == [120]
    assert waits(Backoff(), 1, 1.0, retry_after=120.0) == [121]
    assert waits(Backoff(), 7, 1.0, retry_after=5.0)[-1] == 30


def test_only_a_stable_connection_begins_again() -> None:
    backoff = Backoff(stable=10)
    waits(backoff, 3, 1.0)
    backoff.opened(100.0)
    assert backoff.wait(109.9, random=lambda: 1.0) == 8
    backoff.opened(200.0)
    assert backoff.wait(210.0, random=lambda: 1.0) == 1
    assert backoff.wait(500.0, random=lambda: 1.0) == 2  # not opened in between: still down
    backoff.succeeded()
    assert backoff.wait(501.0, random=lambda: 1.0) == 1


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1e6), st.integers(0, 50))
def test_every_wait_is_between_its_bounds(random: float, floor: float, tries: int) -> None:
    backoff = Backoff()
    for _ in range(tries):
        backoff.wait(0.0)
    wait = backoff.wait(0.0, floor=floor, random=lambda: random)
    assert min(floor, 30) <= wait <= 30

"""Who the client is: X-Forwarded-For is believed from trusted proxies only, and only as far as they vouch for it."""

from __future__ import annotations

from typing import Any

import pytest

from echostream.server.proxies import Proxies


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"client": None if peer is None else (peer, 1), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # not trusted: may say what it likes
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("192.0.2.1, 198.51.100.1",), "198.51.100.1"),  # the left one is the client's own claim
        ("10.0.0.1", ("192.0.2.1", "198.51.100.1, 10.0.0.2"), "198.51.100.1"),
        ("10.0.0.1", (), None),
        ("10.0.0.1", ("10.0.0.2",), None),
        ("10.0.0.1", ("unknown",), None),
        ("127.0.0.1", ("198.51.100.1",), None),
        ("::ffff:203.0.113.9", (), "203.0.113.9"),
        ("2001:db8:1:2:3::4", (), "2001:db8:1:2::/64"),
        (None, (), None),
        ("10.0.0.1", ("127.0.0.1",), None),
    ],
)
def test_the_address_to_count_by(peer: str | None, forwarded: tuple[str, ...], client: str | None) -> None:
    assert Proxies(["10.0.0.0/8"]).client(scope(peer, *forwarded)) == client

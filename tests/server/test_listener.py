"""The listening sockets: what connections inherit, and several addresses under one port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from echostream.exceptions import InvalidSetting
from echostream.server.listener import NOTSENT_LOWAT, USER_TIMEOUT_MS, open_listeners


@contextmanager
def listening(host: str, port: int = 0) -> Iterator[list[socket.socket]]:
    listeners = open_listeners(host, port)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


@pytest.mark.parametrize(
    ("name", "value"), [("TCP_NOTSENT_LOWAT", NOTSENT_LOWAT), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS), ("TCP_NODELAY", 1)]
)
def test_connections_inherit_the_bounds(name: str, value: int) -> None:
    option = getattr(socket, name, None)
    if option is None:
        return  # this platform does not have it, and so it was not asked for
    with listening("127.0.0.1") as (listener,):
        listener.setblocking(True)
        with socket.create_connection(listener.getsockname(), 5):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, option) == value


def test_every_address_of_a_name_has_the_same_port() -> None:
    with listening("localhost") as listeners:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_a_port_can_be_taken_again_at_once() -> None:
    with listening("127.0.0.1") as (listener,):
        port = listener.getsockname()[1]
        listener.setblocking(True)
        with socket.create_connection(("127.0.0.1", port), 5):
            listener.accept()[0].close()  # our side closed first: the port is in TIME_WAIT
    with listening("127.0.0.1", port):
        pass


def test_nothing_is_left_open_when_one_address_fails() -> None:
    with listening("127.0.0.1") as (listener,), pytest.raises(InvalidSetting, match="in use"):
        open_listeners("localhost", listener.getsockname()[1])

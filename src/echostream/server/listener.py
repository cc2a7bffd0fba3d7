"""Listener: the listening sockets, made by us so that every connection inherits their bounds.

TCP_NOTSENT_LOWAT: how much the kernel takes for one connection before it calls the socket full. Without
it a stalled reader pins megabytes of kernel memory, and "full" is told long after the reader stalled.
TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged, a closed window included, before the
kernel gives the connection up: a reader that vanished without a word costs no longer than that.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from ..exceptions import InvalidSetting

__all__ = ["BACKLOG", "open_listeners"]

BACKLOG = 2048
NOTSENT_LOWAT = 64 * 1024
USER_TIMEOUT_MS = 30_000


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host`; port 0 takes a free one, the same for all.

    Raises `InvalidSetting` saying what to do: the port is in use, may not be had, the host is
    unknown or not of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise InvalidSetting("server.host", f"{host!r} cannot be resolved; give an address such as 127.0.0.1") from None
    addresses = [(family, address[:2]) for family, _, _, _, address in dict.fromkeys(found)]
    listeners: list[socket.socket] = []
    failed: OSError | None = None
    with contextlib.ExitStack() as opened:
        for family, (name, _) in addresses:
            taken = listeners[0].getsockname()[1] if listeners else port
            try:
                listener = _listen(family, str(name), taken, alone=len(addresses) == 1)
            except OSError as error:
                # `localhost` may resolve to ::1 on a machine that has IPv6 switched off.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise _explained(error, host, port) from None
                failed = error
            else:
                listeners.append(opened.enter_context(listener))
        if not listeners:
            raise _explained(failed or OSError(errno.EADDRNOTAVAIL, ""), host, port) from None
        opened.pop_all()
    return listeners


def _listen(family: int, address: str, port: int, *, alone: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and not alone:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name, value in (("TCP_NOTSENT_LOWAT", NOTSENT_LOWAT), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS)):
            option = getattr(socket, name, None)  # Linux has both, macOS the first, Windows neither
            if option is not None:
                listener.setsockopt(socket.IPPROTO_TCP, option, value)
        listener.bind((address, port))
        # At once: with SO_REUSEADDR two programs may bind one port, and only `listen` tells them apart.
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _explained(error: OSError, host: str, port: int) -> InvalidSetting:
    if error.errno == errno.EADDRINUSE:
        return InvalidSetting(
            "server.port", f"{port} on {host} is in use; end what uses it, or choose another with --port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return InvalidSetting("server.port", f"no permission to listen on {port}; choose one from 1024 up with --port")
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return InvalidSetting(
            "server.host", f"{host} is not an address of this machine; use 127.0.0.1, or 0.0.0.0 for all"
        )
    return InvalidSetting("server.host", f"cannot listen on {host} port {port}: {error.strerror or error}")

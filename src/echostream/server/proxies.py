"""Proxies: who the client is when a reverse proxy stands in front.

Anyone can send `X-Forwarded-For`, so it is believed only from addresses listed in
`proxies.trusted`, and only as far as they vouch for it: read from the right, the first
address that is not a trusted proxy is the client.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import Scope

__all__ = ["Proxies", "header_values"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def header_values(scope: Scope, name: bytes) -> list[str]:
    """All values of a header, in order; `name` in lower case."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


class Proxies:
    """The trusted proxies; reads what they say about a request."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in trusted]

    def client(self, scope: Scope) -> str | None:
        """The client's address, as the text to count by; None for one that is not counted.

        Loopback and the proxies themselves are not counted. IPv6 clients are counted by /64:
        that is what one customer is given, so single addresses cost an attacker nothing.
        """
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if peer is None:
            return None
        for text in reversed(self._forwarded(scope, peer)):
            if not self._trusts(peer):
                break
            hop = _address(text)
            if hop is None:
                return None  # a trusted proxy wrote something odd: its word is all there is
            peer = hop
        if peer.is_loopback or self._trusts(peer):
            return None
        if isinstance(peer, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((peer, 64), strict=False))
        return str(peer)

    def scheme(self, scope: Scope) -> str:
        """`http` or `https`, as the client used it."""
        peer = _address(scope["client"][0]) if scope.get("client") else None
        told = header_values(scope, b"x-forwarded-proto")
        if peer is not None and self._trusts(peer) and len(told) == 1 and told[0] in ("http", "https"):
            return told[0]
        return scope["scheme"]

    def _forwarded(self, scope: Scope, peer: Address) -> list[str]:
        if not self._trusts(peer):
            return []
        return [hop.strip() for value in header_values(scope, b"x-forwarded-for") for hop in value.split(",")]

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]").split("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address

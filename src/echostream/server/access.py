"""Access: the one place that decides who may do what to which topic, and which requests are heard at all.

On loopback the attacker is a web page that the user has open. It reaches 127.0.0.1 in two ways:

- it *posts* across origins: a form or `fetch` in no-cors mode needs no permission. Browsers tell
  by `Origin` and `Sec-Fetch-Site` (which pages cannot set) where a request comes from;
- it *rebinds* its own name to 127.0.0.1 and is then same-origin to us. `Host` still has the page's
  name, so on loopback only loopback names are answered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Literal
from urllib.parse import urlsplit

from starlette.types import Scope

from ..exceptions import TopicReserved
from ..topic import HUB_PREFIX
from .problem import HttpProblem
from .proxies import Proxies, header_values
from .tables import Settings

__all__ = ["Access", "is_loopback"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PORTS = {"http": 80, "https": 443}

Action = Literal["publish", "subscribe"]


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port, brackets allowed) means this machine alone (RFC 6761, 6.3)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class Access:
    """Decides by the settings alone; keeps nothing."""

    def __init__(self, settings: Settings, proxies: Proxies) -> None:
        self._loopback = is_loopback(settings.server.host)
        self._hosts = frozenset(host.strip("[]").rstrip(".") for host in settings.server.hosts)
        self._origins = frozenset(settings.cors.origins)
        self._proxies = proxies

    def check_request(self, scope: Scope) -> None:
        """Raises `HttpProblem`: 400 without one `Host`, 421 for a foreign one, 403 for a foreign page's write."""
        host = self._check_host(scope)
        if scope["method"] not in SAFE_METHODS:
            self._check_origin(scope, host)

    def check_topics(self, action: Action, topics: Iterable[str]) -> None:
        """Whether `action` is allowed on all of `topics` (names or patterns). Raises `TopicReserved`."""
        if action != "publish":
            return
        for topic in topics:
            if f"{topic}/".startswith(HUB_PREFIX):
                raise TopicReserved(topic)

    def _check_host(self, scope: Scope) -> str:
        hosts = header_values(scope, b"host")
        if not hosts and scope["http_version"] == "1.0":
            return ""  # allowed there (RFC 9112, 3.2), and no browser sends it
        if len(hosts) != 1:
            raise HttpProblem(400, "bad-host", f"the request has {len(hosts)} Host headers; send exactly one")
        name = _host_name(hosts[0])
        if self._loopback and not is_loopback(name) and name not in self._hosts:
            raise HttpProblem(
                421,
                "foreign-host",
                f"this hub listens on loopback and does not answer to Host {hosts[0][:100]!r}; "
                f"use 127.0.0.1 or localhost, or add the name to server.hosts (ECHOSTREAM_SERVER__HOSTS)",
            )
        return hosts[0]

    def _check_origin(self, scope: Scope, host: str) -> None:
        site = b",".join(value.encode("latin-1") for value in header_values(scope, b"sec-fetch-site")).decode("latin-1")
        origins = header_values(scope, b"origin")
        if not origins and site in ("", "same-origin", "none"):
            return  # no browser, or the user's own doing
        if "*" in self._origins or (len(origins) == 1 and origins[0] in self._origins):
            return
        if len(origins) == 1 and site in ("", "same-origin", "none") and self._is_own(scope, origins[0], host, site):
            return
        raise HttpProblem(
            403,
            "foreign-origin",
            f"a web page of {', '.join(origins)[:100] or 'another site'} may not write here; "
            f"if it is meant to, add its origin to cors.origins (ECHOSTREAM_CORS__ORIGINS)",
        )

    def _is_own(self, scope: Scope, origin: str, host: str, site: str) -> bool:
        try:
            parts, own = urlsplit(origin), urlsplit(f"//{host}")
            scheme = self._proxies.scheme(scope)
            # Behind a proxy that ends TLS and is not listed as trusted, our scheme is wrong. A browser
            # that says same-origin has compared the real ones.
            if site == "same-origin":
                scheme = parts.scheme
            default = PORTS.get(scheme)
            return (parts.scheme, parts.hostname, parts.port or default) == (scheme, own.hostname, own.port or default)
        except ValueError:  # a port that is no number
            return False


def _host_name(host: str) -> str:
    """The name in a `Host` header; "" for what cannot be read as one."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment or not parts.hostname:
        return ""
    return parts.hostname.rstrip(".")

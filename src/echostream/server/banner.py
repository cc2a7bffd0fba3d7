"""What `serve` says when it has started: for people, and with `--json` for programs."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from urllib.parse import urlsplit

from .access import is_loopback
from .tables import Settings

__all__ = ["banner", "facts", "redacted", "served_url", "warning"]


def served_url(settings: Settings, port: int) -> str:
    """The URL to try: an address of this machine where the hub listens on all of them."""
    host = settings.server.host.strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    scheme = "https" if settings.tls.cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def redacted(url: str) -> str:
    """A log's URL without the user and password it may hold."""
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return url.replace(f"{user}{at}", "***@", 1) if at else url


def banner(settings: Settings, url: str, durability: str) -> str:
    """A few lines that end with something to try."""
    insecure = " -k" if settings.tls.cert else ""
    return (
        f"echostream {version('echostream')} on {url}\n"
        f"log {redacted(settings.log.url)}, durability {durability}\n\n"
        f"  subscribe   curl -N{insecure} {url}/topics/hello\n"
        f"  publish     curl{insecure} -d 'hello, world' {url}/topics/hello\n"
        f"  look        {url}/\n\n"
        f"Ctrl+C ends it.\n"
    )


def facts(settings: Settings, url: str, port: int, durability: str) -> str:
    """The same as one line of JSON."""
    told = {
        "url": url,
        "host": settings.server.host,
        "port": port,
        "pid": os.getpid(),
        "log": redacted(settings.log.url),
        "durability": durability,
    }
    return json.dumps(told) + "\n"


def warning(settings: Settings) -> str | None:
    """What to say loudly about where the hub listens, or None."""
    host = settings.server.host
    if is_loopback(host):
        return None
    line = "!" * 78
    return (
        f"{line}\n"
        f"WARNING: listening on {host}, which is not loopback. There is no access control:\n"
        f"whoever can reach this address can read and publish everything. Use it in a network\n"
        f"you trust, behind a proxy that authenticates, or with --host 127.0.0.1.\n"
        f"{line}\n"
    )

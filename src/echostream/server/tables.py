"""The tables of settings: every name, its default, what it may be, and what it is for.

Names in TOML (`[limits] connections = 500`), in the environment (`ECHOSTREAM_LIMITS__CONNECTIONS=500`) and
in the reference page all come from here. 0 means "no bound" for the sizes and counts under `limits`.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from ..hub import HubSettings, StreamSettings

__all__ = [
    "CorsTable",
    "LimitsTable",
    "LogTable",
    "ProxiesTable",
    "ServerTable",
    "Settings",
    "StreamsTable",
    "TlsTable",
]


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", text):
        raise ValueError(
            "write an origin as the browser does: scheme://host[:port], in lower case, without a path; or *"
        )
    return text


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", text):
        raise ValueError("write a host name or address alone, without scheme, port or path")
    return text.lower()


Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]
HostName = Annotated[str, AfterValidator(_host_name)]


class _Table(BaseModel):
    # Timers take no infinity; what has no bound is 0 where that is allowed.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switches(cls, value: Any) -> Any:
        if isinstance(value, bool):  # `port = true` would be port 1
            raise ValueError("is no switch; give a value")
        return value


class ServerTable(_Table):
    """Where the hub listens."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on; anything but loopback is open to the network"
    )
    port: int = Field(8800, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    hosts: tuple[HostName, ...] = Field(
        (), description="names besides the loopback ones that a request's Host may have on loopback"
    )
    drain_seconds: float = Field(
        10, gt=0, le=3600, description="how long the end of the hub may take after SIGTERM or SIGINT"
    )


class LogTable(_Table):
    """Where events are kept."""

    url: str = Field("sqlite:///echostream.db", min_length=1, description="the log: memory:// or sqlite:///file.db")


class LimitsTable(_Table):
    """What one hub takes on; 0 = no bound."""

    connections: int = Field(
        10_000, ge=0, description="open streams of the hub; cut to fit the file limit; past it 503"
    )
    connections_per_address: int = Field(
        100,
        ge=0,
        description="open streams and publications of one address (not loopback, not trusted proxies); past it 429",
    )
    publications: int = Field(256, ge=0, description="publications whose bodies are in flight at once; past it 503")
    publish_bytes: int = Field(1024 * 1024, ge=0, description="bytes of one publication's body; past it 413")
    publish_seconds: float = Field(
        30, ge=0, le=86_400, description="seconds that one publication's body may take to arrive; past it 408"
    )
    event_bytes: int = Field(256 * 1024, ge=0, description="bytes of one event; past it 413")
    batch_events: int = Field(1000, ge=0, description="events of one batch; past it 413")


class StreamsTable(_Table):
    """How a stream behaves; in seconds."""

    heartbeat: float = Field(15, gt=0, le=86_400, description="silence after which a heartbeat is sent")
    deadline: float = Field(
        3600, ge=0, le=31_536_000, description="age at which a stream ends, to be resumed (jittered); 0 = never"
    )
    send_timeout: float = Field(
        30, gt=0, le=86_400, description="how long a reader's full socket may stall before it is cut, to be resumed"
    )
    retry: float = Field(2, gt=0, le=86_400, description="after how long a reader is told to come back (jittered)")


class CorsTable(_Table):
    """Web pages of other origins."""

    origins: tuple[Origin, ...] = Field(
        (), description='origins whose pages may read and publish, as ["https://app.example"]'
    )


class TlsTable(_Table):
    """HTTPS without a proxy."""

    cert: Path | None = Field(None, description="certificate chain, PEM")
    key: Path | None = Field(None, description="private key, PEM")


class ProxiesTable(_Table):
    """Reverse proxies in front of the hub."""

    trusted: tuple[Network, ...] = Field(
        (), description="addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed"
    )


class Settings(_Table):
    """All settings of the hub as a program."""

    server: ServerTable = ServerTable()  # pyright: ignore[reportCallIssue]
    log: LogTable = LogTable()  # pyright: ignore[reportCallIssue]
    limits: LimitsTable = LimitsTable()  # pyright: ignore[reportCallIssue]
    streams: StreamsTable = StreamsTable()  # pyright: ignore[reportCallIssue]
    cors: CorsTable = CorsTable()  # pyright: ignore[reportCallIssue]
    tls: TlsTable = TlsTable()  # pyright: ignore[reportCallIssue]
    proxies: ProxiesTable = ProxiesTable()  # pyright: ignore[reportCallIssue]

    def hub_settings(self) -> HubSettings:
        """The bounds that the hub itself keeps."""
        limits = self.limits
        return HubSettings(
            event_bytes=limits.event_bytes or sys.maxsize, batch_events=limits.batch_events or sys.maxsize
        )

    def stream_settings(self) -> StreamSettings:
        """How streams behave."""
        streams = self.streams
        return StreamSettings(
            heartbeat=streams.heartbeat,
            deadline=streams.deadline or None,
            send_timeout=streams.send_timeout,
            retry=streams.retry,
        )

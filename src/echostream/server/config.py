"""Settings: what can be set, and where a value came from. A flag wins over the environment, that over the file.

The tables below are the whole truth: names in TOML (`[limits] connections = 500`), in the
environment (`ECHOSTREAM_LIMITS__CONNECTIONS=500`) and in the reference page all come from
them. 0 means "no bound" for the sizes and counts under `limits`.
"""

from __future__ import annotations

import ipaddress
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..exceptions import InvalidSetting
from ..hub.settings import HubSettings, StreamSettings

__all__ = ["ENV_PREFIX", "SettingRow", "Settings", "describe_settings", "load_settings"]

ENV_PREFIX = "ECHOSTREAM_"
NOT_OURS = frozenset({"ECHOSTREAM_URL", "ECHOSTREAM_CONFIG"})
"""Variables with our prefix that are no settings: where the commands find a hub, and where the file of settings is."""


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
    model_config = ConfigDict(extra="forbid", frozen=True)


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
        30, ge=0, description="seconds that one publication's body may take to arrive; past it 408"
    )
    event_bytes: int = Field(256 * 1024, ge=0, description="bytes of one event; past it 413")
    batch_events: int = Field(1000, ge=0, description="events of one batch; past it 413")


class StreamsTable(_Table):
    """How a stream behaves; in seconds."""

    heartbeat: float = Field(15, gt=0, description="silence after which a heartbeat is sent")
    deadline: float = Field(3600, ge=0, description="age at which a stream ends, to be resumed (jittered); 0 = never")
    send_timeout: float = Field(
        30, gt=0, description="how long a reader's full socket may stall before it is cut, to be resumed"
    )
    retry: float = Field(2, gt=0, description="after how long a reader is told to come back (jittered)")


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


class SettingRow(NamedTuple):
    """One setting as a reader of the reference sees it."""

    name: str
    env: str
    kind: str
    default: str
    about: str


def describe_settings() -> list[SettingRow]:
    """Every setting, in the order of the tables."""
    rows: list[SettingRow] = []
    for table, keys in _known().items():
        fields: Any = _model(table).model_fields
        for key in keys:
            field = fields[key]
            default = "" if field.default is None else json.dumps(field.default)
            rows.append(
                SettingRow(f"{table}.{key}", _env_name(table, key), _kind(field.annotation), default, field.description)
            )
    return rows


def load_settings(
    flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Settings:
    """The settings of this start. `flags` maps `table.key` to a value (None: not given).

    Raises `InvalidSetting` naming the key and where it stands: an unknown key, with the
    nearest known one; a value it cannot have; a file that cannot be read.
    """
    values: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, str], str] = {}
    layers = [*_from_file(file), *_from_environ(environ or {}), *_from_flags(flags or {})]
    for table, key, value, place in layers:
        values.setdefault(table, {})[key] = value
        places[table, key] = place
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _invalid(error, places) from None
    _check_tls(settings.tls)
    return settings


Layer = tuple[str, str, Any, str]


def _from_file(file: Path | None) -> list[Layer]:
    if file is None:
        return []
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting("config", f"{file} cannot be read: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting("config", f"{file} is not TOML: {error}") from None
    layers: list[Layer] = []
    for table, keys in tables.items():
        if table not in _known():
            raise InvalidSetting(table, f"no such table in {file}{_nearest(table, list(_known()))}")
        if not isinstance(keys, dict):
            raise InvalidSetting(table, f"is a table: write [{table}] on a line of its own in {file}")
        entries: dict[str, Any] = keys  # pyright: ignore[reportUnknownVariableType]
        for key, value in entries.items():
            if key not in _known()[table]:
                raise InvalidSetting(f"{table}.{key}", f"no such setting in {file}{_nearest_key(table, key)}")
            layers.append((table, key, value, str(file)))
    return layers


def _from_environ(environ: Mapping[str, str]) -> list[Layer]:
    names = {row.env: row.name for row in describe_settings()}
    layers: list[Layer] = []
    for variable, text in environ.items():
        if not variable.upper().startswith(ENV_PREFIX) or variable in NOT_OURS:
            continue
        if variable not in names:
            raise InvalidSetting(variable, f"no such setting in the environment{_nearest(variable, list(names))}")
        table, key = names[variable].split(".")
        layers.append((table, key, _parsed(table, key, text), f"{variable} in the environment"))
    return layers


def _from_flags(flags: Mapping[str, Any]) -> list[Layer]:
    layers: list[Layer] = []
    for name, value in flags.items():
        if value is not None:
            table, key = name.split(".")
            layers.append((table, key, value, "the command line"))
    return layers


def _parsed(table: str, key: str, text: str) -> Any:
    """A list is given as `a,b` or as JSON; everything else is read from its text."""
    if _kind(_model(table).model_fields[key].annotation) != "list":
        return text
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return [part.strip() for part in text.split(",") if part.strip()]


def _check_tls(tls: TlsTable) -> None:
    if (tls.cert is None) != (tls.key is None):
        missing = "tls.key" if tls.key is None else "tls.cert"
        raise InvalidSetting(missing, "is missing; give the certificate and its key together")


def _invalid(error: ValidationError, places: Mapping[tuple[str, str], str]) -> InvalidSetting:
    first = error.errors()[0]
    table, key = str(first["loc"][0]), str(first["loc"][1])
    reason = first["msg"].removeprefix("Value error, ")
    given = json.dumps(first["input"], default=str)
    return InvalidSetting(
        f"{table}.{key}", f"{reason[:1].lower()}{reason[1:]}; given was {given} by {places[table, key]}"
    )


def _model(table: str) -> type[BaseModel]:
    model: Any = Settings.model_fields[table].annotation
    return model


def _known() -> dict[str, Sequence[str]]:
    return {table: list(_model(table).model_fields) for table in Settings.model_fields}


def _env_name(table: str, key: str) -> str:
    return f"{ENV_PREFIX}{table}__{key}".upper()


def _kind(annotation: Any) -> str:
    if annotation in (str, int, float):
        return {"str": "text", "int": "whole number", "float": "number"}[annotation.__name__]
    return "path" if annotation == Path | None else "list"


def _nearest(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word.upper(), [name.upper() for name in known], n=1)
    if not near:
        return f"; there are {', '.join(known)}" if len(known) < 12 else ""
    return f"; did you mean {next(name for name in known if name.upper() == near[0])}?"


def _nearest_key(table: str, key: str) -> str:
    elsewhere = [f"{other}.{key}" for other, keys in _known().items() if other != table and key in keys]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, _known()[table])

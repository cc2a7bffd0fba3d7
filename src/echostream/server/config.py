"""Where settings come from: a flag wins over the environment, that over the file.

Every mistake is told with the key and the place it stands in: an unknown one is as wrong as a bad
value, because a misspelt limit would silently be no limit.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from ..exceptions import InvalidSetting
from .tables import Settings, TlsTable

__all__ = ["ENV_PREFIX", "SettingRow", "Settings", "describe_settings", "load_settings"]

ENV_PREFIX = "ECHOSTREAM_"
NOT_OURS = frozenset({"ECHOSTREAM_URL", "ECHOSTREAM_CONFIG"})
"""Variables with our prefix that are no settings: where the commands find a hub, and where the file of settings is."""


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
            raise InvalidSetting(variable, f"no such setting in the environment{_nearest_variable(variable, names)}")
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


def _nearest_variable(variable: str, names: Mapping[str, str]) -> str:
    """The nearest by table first: `LIMTS__X` is a misspelt table of a key that exists nowhere, not some like word."""
    table = variable.removeprefix(ENV_PREFIX).partition("__")[0]
    tables = {name.removeprefix(ENV_PREFIX).partition("__")[0] for name in names}
    near = get_close_matches(table.upper(), sorted(tables), n=1)
    return _nearest(variable, [name for name in names if not near or name.startswith(f"{ENV_PREFIX}{near[0]}__")])


def _nearest_key(table: str, key: str) -> str:
    elsewhere = [f"{other}.{key}" for other, keys in _known().items() if other != table and key in keys]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else _nearest(key, _known()[table])

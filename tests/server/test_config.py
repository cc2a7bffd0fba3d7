"""Settings: flag over environment over file, and every mistake named with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from echostream.exceptions import InvalidSetting
from echostream.server.config import Settings, describe_settings, load_settings


def written(folder: Path, text: str) -> Path:
    file = folder / "hub.toml"
    file.write_text(text)
    return file


def test_defaults_are_those_of_the_design() -> None:
    settings = load_settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8800)
    assert settings.limits.connections == 10_000
    assert settings.limits.connections_per_address == 100
    assert settings.limits.publish_bytes == 1024 * 1024
    assert (settings.hub_settings().event_bytes, settings.hub_settings().batch_events) == (256 * 1024, 1000)
    streams = settings.stream_settings()
    assert (streams.heartbeat, streams.deadline, streams.send_timeout, streams.retry) == (15, 3600, 30, 2)
    assert settings.cors.origins == ()


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nport = 1\nhost = "::1"\ndrain_seconds = 3\n')
    settings = load_settings(
        {"server.port": 3, "server.host": None},
        environ={"ECHOSTREAM_SERVER__PORT": "2", "ECHOSTREAM_SERVER__DRAIN_SECONDS": "2.5", "PATH": "/bin"},
        file=file,
    )
    assert (settings.server.port, settings.server.drain_seconds, settings.server.host) == (3, 2.5, "::1")


@pytest.mark.parametrize(
    "text", ["https://a.example,https://b.example:8443", '["https://a.example", "https://b.example:8443"]']
)
def test_a_list_in_the_environment_is_words_or_json(text: str) -> None:
    settings = load_settings(environ={"ECHOSTREAM_CORS__ORIGINS": text})
    assert settings.cors.origins == ("https://a.example", "https://b.example:8443")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nconections = 1\n", ["limits.conections", "hub.toml", "did you mean connections?"]),
        ("[limit]\nconnections = 1\n", ["limit", "hub.toml", "did you mean limits?"]),
        ("[server]\nheartbeat = 1\n", ["server.heartbeat", "did you mean streams.heartbeat?"]),
        ("server = 1\n", ["server", "[server]"]),
        ('[limits]\nconnections = "many"\n', ["limits.connections", "integer", '"many"', "hub.toml"]),
        ("[limits]\nconnections = -1\n", ["limits.connections", "-1", "hub.toml"]),
        ("[streams]\nheartbeat = 0\n", ["streams.heartbeat", "greater than 0"]),
        ("[streams]\nheartbeat = inf\n", ["streams.heartbeat", "finite"]),
        ("[limits]\npublish_seconds = nan\n", ["limits.publish_seconds", "finite"]),
        ("[streams]\nretry = 1e15\n", ["streams.retry", "86400"]),
        ("[streams]\ndeadline = 1e300\n", ["streams.deadline", "31536000"]),
        ("[limits]\npublish_seconds = 1e300\n", ["limits.publish_seconds", "86400"]),
        ("[server]\nport = true\n", ["server.port", "no switch", "true"]),
        ('[cors]\norigins = ["https://a.example/path"]\n', ["cors.origins", "scheme://host"]),
        ('[proxies]\ntrusted = ["nginx"]\n', ["proxies.trusted", "nginx"]),
        ('[tls]\ncert = "c.pem"\n', ["tls.key", "together"]),
        ("[server\n", ["config", "hub.toml", "not TOML"]),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load_settings(file=written(tmp_path, text))
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"none\.toml cannot be read: No such file"):
        load_settings(file=tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "ECHOSTREAM_LIMITS__CONECTIONS",
            "1",
            ["ECHOSTREAM_LIMITS__CONECTIONS", "mean ECHOSTREAM_LIMITS__CONNECTIONS?"],
        ),
        ("ECHOSTREAM_PORT", "1", ["ECHOSTREAM_PORT", "environment"]),
        ("echostream_server__port", "1", ["did you mean ECHOSTREAM_SERVER__PORT?"]),
        ("ECHOSTREAM_SERVER__PORT", "http", ["server.port", "ECHOSTREAM_SERVER__PORT in the environment", '"http"']),
        ("ECHOSTREAM_CORS__ORIGINS", "[oops", ["cors.origins", "ECHOSTREAM_CORS__ORIGINS"]),
    ],
)
def test_a_mistake_in_the_environment_is_named(name: str, value: str, words: list[str]) -> None:
    with pytest.raises(InvalidSetting) as caught:
        load_settings(environ={name: value})
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_what_belongs_to_the_client_is_no_setting() -> None:
    assert load_settings(environ={"ECHOSTREAM_URL": "http://x", "ECHOSTREAM_CONFIG": "y"}) == Settings()


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(InvalidSetting, match=r"server\.port: .*given was 70000 by the command line"):
        load_settings({"server.port": 70_000})


def test_zero_is_no_bound() -> None:
    settings = load_settings({"limits.event_bytes": 0, "limits.batch_events": 0, "streams.deadline": 0})
    assert settings.hub_settings().event_bytes > 2**60
    assert settings.hub_settings().batch_events > 2**60
    assert settings.stream_settings().deadline is None


def test_every_setting_is_described_and_can_be_given_in_all_ways(tmp_path: Path) -> None:
    values: dict[str, Any] = {"text": "x", "whole number": 1, "number": 1.5, "path": "x", "list": []}
    given = {"tls.cert": "a", "tls.key": "b"}  # only together
    for row in describe_settings():
        assert row.about, row.name
        assert row.env == "ECHOSTREAM_" + row.name.upper().replace(".", "__")
        assert load_settings({**given, row.name: values[row.kind]})
        assert load_settings(given, environ={row.env: "" if row.kind == "list" else str(values[row.kind])})
        table, key = row.name.split(".")
        assert load_settings(given, file=written(tmp_path, f"[{table}]\n{key} = {values[row.kind]!r}\n"))

"""serve: start a hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import InvalidSetting
from ..server.config import load_settings
from ..server.run import run
from .say import EXIT_FAILED, say

__all__ = ["serve"]

HELP = """Start a hub: publish and subscribe over HTTP, kept in a log.

Settings are taken from flags, then from the environment, then from the file. SIGTERM or Ctrl+C
ends every stream at an event boundary, so that readers come back and continue; a second one ends
the hub at once.

\b
Examples:
  echostream serve
  echostream serve --port 9000 --log memory://
  echostream serve --log 'sqlite:////var/lib/echostream/events.db?max_age=86400'
  ECHOSTREAM_LIMITS__CONNECTIONS=500 echostream serve --config hub.toml
"""


def serve(  # noqa: PLR0917  typer reads options from the signature; nobody calls it by position
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", metavar="ADDRESS", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="NUMBER", help="Port to listen on; 0 takes a free one.", show_default="8800"
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where events are kept: memory:// or sqlite:///file.db.",
            show_default="sqlite:///echostream.db",
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", envvar="ECHOSTREAM_CONFIG", help="Settings in TOML.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain in PEM, for HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's private key in PEM.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print where it listens as one line of JSON.")] = False,
) -> None:
    flags: dict[str, Any] = {
        "server.host": host,
        "server.port": port,
        "log.url": log,
        "tls.cert": tls_cert,
        "tls.key": tls_key,
    }
    try:
        settings = load_settings(flags, environ=os.environ, file=config)
    except InvalidSetting as error:
        say(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    raise typer.Exit(run(settings, json=json))


serve.__doc__ = HELP

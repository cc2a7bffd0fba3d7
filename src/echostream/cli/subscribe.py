"""subscribe: follow topics from the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from itertools import islice
from typing import Annotated

import typer

from ..client import DEFAULT_URL
from ..client import subscribe as follow
from ..client.http import check_hub_url, shown, with_query
from ..event import Event
from ..topic import TopicSet, is_pattern
from ..wire import Control, StreamEnd, StreamError, StreamGap, envelope
from .say import EXIT_INTERRUPTED, HINT, say, visible

__all__ = ["subscribe"]


def subscribe(  # noqa: PLR0917 (typer reads options from the signature; nobody calls it by position)
    topics: Annotated[
        list[str],
        typer.Argument(metavar="TOPIC...", help="Topics, or patterns such as 'orders/*'.", show_default=False),
    ],
    since: Annotated[
        str | None, typer.Option(help="Where to begin: latest, earliest, a position, 10m (a time), -20 (a count).")
    ] = None,
    last_event_id: Annotated[str | None, typer.Option(metavar="POSITION", help="Continue after this position.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", min=1, help="End after this many events.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print whole envelopes, one a line.")] = False,
    url: Annotated[str, typer.Option(envvar="ECHOSTREAM_URL", help="The hub.")] = DEFAULT_URL,
) -> None:
    """Follow topics: prints each event's data as it comes, with its topic before it when there can be several.

    \b
    Examples:
      echostream subscribe greetings
      echostream subscribe orders/eu --since -20
      echostream subscribe 'logs/**' --since 10m --json | jq .data
      echostream subscribe orders/eu --since earliest --count 1

    Comes back by itself after a lost connection and continues where it was. Lost events are told on standard
    error. Ends with 0 when the topics are finished.
    """
    wanted = TopicSet(topics)
    target = f"{check_hub_url(url)}/stream"
    for topic in wanted:
        target = with_query(target, topic=topic)
    notes = _Notes(url)
    events = follow(
        target, since=since, last_event_id=last_event_id, format="ndjson",
        on_control=notes.on_control, on_retry=notes.on_retry,
    )  # fmt: skip
    several = len(wanted) > 1 or any(map(is_pattern, wanted))
    try:
        _print(notes.heard(events), count, json=json, several=several)
    except BrokenPipeError:
        # `| head -1` has what it wanted. Without this the interpreter would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _print(events: Generator[Event, None, None], count: int | None, *, json: bool, several: bool) -> None:
    shown = sys.stdout.isatty()
    output = sys.stdout.buffer
    for event in islice(events, count):
        line = envelope(event) if json else _line(event, several=several).encode()
        if shown:
            line = visible(line.decode()).encode()
        output.write(line + b"\n")
        output.flush()
    events.close()


def _line(event: Event, *, several: bool) -> str:
    data = event.data or ""
    return f"{event.topic}\t{data}" if several else data


class _Notes:
    """What is said on standard error: losses, and one word for each absence of the hub."""

    def __init__(self, url: str) -> None:
        self._url = shown(url)
        self._away = False
        self._planned = False

    def heard(self, events: Generator[Event, None, None]) -> Generator[Event, None, None]:
        """The events; each one is a sign of life."""
        for event in events:
            self._alive()
            yield event

    def on_control(self, control: Control) -> None:
        if isinstance(control, StreamGap):
            self._alive()
            lost = "events" if control.dropped is None else f"{control.dropped:,} events"
            say(f"gap: {lost} after {control.after} are lost ({control.reason}); going on at {control.oldest}")
        elif isinstance(control, (StreamError, StreamEnd)):
            # on_retry tells it, with what follows from it; but a deadline is nobody's trouble
            self._planned = isinstance(control, StreamEnd) and control.reason in ("deadline", "quota")
        else:
            self._alive()

    def on_retry(self, why: str, wait: float) -> None:
        if self._planned:
            self._planned = False
        elif not self._away:
            self._away = True
            say(f"{self._url}: {why}; coming back until it works (next in {wait:.1f} s; {HINT})")

    def _alive(self) -> None:
        if self._away:
            self._away = False
            say(f"{self._url} is back; continuing")

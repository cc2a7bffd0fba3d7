"""publish: one event from the command line, or each line of a pipe."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from ..client import DEFAULT_URL, Publisher, Receipt
from ..exceptions import EchostreamError, InvalidEvent, InvalidInput
from .pipe import GROUP_BYTES, Group, Piped, groups_of
from .progress import Progress
from .say import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, say

__all__ = ["publish"]


def publish(  # noqa: PLR0917 (typer reads options from the signature; nobody calls it by position)
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Topic, such as orders/eu.", show_default=False)],
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="The event's data. Without it, or with -, each line of standard input."),
    ] = None,
    url: Annotated[str, typer.Option(envvar="ECHOSTREAM_URL", help="The hub.")] = DEFAULT_URL,
    event: Annotated[str | None, typer.Option(metavar="NAME", help="The event's type.")] = None,
    key: Annotated[
        str | None, typer.Option(help="What the event is about, for readers that keep the newest of each.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Publish as text, even what is JSON.")] = False,
    end: Annotated[bool, typer.Option("--end", help="Finish the topic: its readers end, nothing can follow.")] = False,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="Tell who is listening now, and keep nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print each acknowledgement as a line of JSON.")] = False,
) -> None:
    """Publish DATA, or each line of a pipe as one event. JSON stays JSON, byte for byte; anything else is text.

    \b
    Examples:
      echostream publish greetings "hello"
      echostream publish orders/eu '{"order": 17}' --event created
      tail -F access.log | echostream publish logs/web --text
      jq -c '.[]' rows.json | echostream publish rows --end
      echostream publish rows --end

    Lines that wait together are sent together; empty lines are passed over. A hub that is down is waited for:
    what is not acknowledged is sent again with the same idempotency key, so nothing is lost and nothing doubled.
    """
    if ephemeral and end:
        raise InvalidInput("--ephemeral", "cannot go with --end: an end is kept, an ephemeral event is not")
    piped = data == "-" or (data is None and not sys.stdin.isatty())
    if not piped and data is None and not end:
        raise InvalidInput("DATA", "is missing; give it, or pipe lines in")
    with Progress(url, topic, counter=piped) as progress, Publisher(url, on_retry=progress.on_retry) as publisher:
        one = _Publication(topic, publisher, progress, ephemeral=ephemeral, json=json)
        try:
            if piped:
                one.lines(Piped(text, event, key), end=end)
            elif data is None:
                one.told(publisher.end(topic), 0)
            else:
                one.single(data, Piped(text, event, key), end=end)
        except KeyboardInterrupt:
            one.stopped()
            raise typer.Exit(EXIT_INTERRUPTED) from None


class _Publication:
    """One run of the command."""

    def __init__(self, topic: str, publisher: Publisher, progress: Progress, *, ephemeral: bool, json: bool) -> None:
        self._topic = topic
        self._publisher = publisher
        self._progress = progress
        self._ephemeral = ephemeral
        self._json = json
        self._under_way = 0

    def single(self, data: str, piped: Piped, *, end: bool) -> None:
        if not data:
            raise InvalidEvent("DATA", "is empty; give the event some data")
        self._under_way = 1
        self.told(self._publisher.publish(self._topic, piped.event_of(data), end=end, ephemeral=self._ephemeral), 1)

    def lines(self, piped: Piped, *, end: bool) -> None:
        try:
            for group in groups_of(sys.stdin.fileno(), piped):
                self._group(group)
            if not self._progress.count and not end:
                raise InvalidInput("DATA", "is empty: the pipe ended without a line to publish")
            if end:
                self.told(self._publisher.end(self._topic), 0)
        except EchostreamError as error:
            if not self._progress.count:
                raise
            say(f"{error}; {self._so_far()} before")
            raise typer.Exit(EXIT_USAGE if isinstance(error, InvalidInput) else EXIT_FAILED) from None
        if sys.stderr.isatty():
            say(self._so_far())

    def _group(self, group: Group) -> None:
        self._under_way = len(group.events)
        if len(group.body) > GROUP_BYTES:
            # One long line that JSON's escapes made longer still; as text it is within its bound.
            receipt = self._publisher.publish(self._topic, group.events[0], ephemeral=self._ephemeral)
        else:
            receipt = self._publisher.publish_lines(self._topic, group.body, ephemeral=self._ephemeral)
        self.told(receipt, len(group.events))

    def _so_far(self) -> str:
        count = self._progress.count
        return f"{count:,} {'event was' if count == 1 else 'events were'} published to {self._topic}"

    def stopped(self) -> None:
        """Interrupted: say what is known and what is not."""
        unknown = f", and {self._under_way:,} more may have been" if self._under_way else ""
        say(f"stopped; {self._so_far()}{unknown}")

    def told(self, receipt: Receipt, count: int) -> None:
        """An acknowledgement of `count` events."""
        self._progress.acknowledged(count)
        self._under_way = 0
        if self._json:
            print(msgspec.json.encode(receipt._asdict()).decode(), flush=True)

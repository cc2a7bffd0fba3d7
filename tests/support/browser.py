"""A browser page that remembers what went wrong in it, and a hub as a person at a terminal uses it."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from .servers import ServerProcess

__all__ = ["EVENTS", "QUIET_ARGUMENTS", "Publisher", "Trouble", "numbers", "opened", "publish", "watch"]

# Nothing but the page under test may use the network.
QUIET_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# What an event must never bring about. It runs before any script of the page.
WATCH = """
  window.canaries = [];
  for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => window.canaries.push(name);
  addEventListener("securitypolicyviolation", (e) => window.canaries.push(`${e.violatedDirective}: ${e.blockedURI}`));
"""


EVENTS = "#tape .event .data"
"""The data of the events that the front page shows."""


class Trouble(list[str]):
    """Errors of a page: thrown, logged, and refused by its content security policy."""

    def note_console(self, entry: ConsoleMessage) -> None:
        # A hub that was killed, and answers that are refusals, are logged by the browser itself.
        if entry.type in ("error", "warning") and not entry.text.startswith("Failed to load resource:"):
            self.append(f"console: {entry.text}")


@contextmanager
def opened(browser: Browser, **options: Any) -> Iterator[Page]:
    """A new page in a context of its own. Fails afterwards when it had any `Trouble`."""
    trouble = Trouble()
    with browser.new_context(**options) as context:
        context.add_init_script(WATCH)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", trouble.note_console)
        page.on("pageerror", lambda error: trouble.append(f"thrown: {error}"))
        yield page
        trouble.extend(page.evaluate("window.canaries ?? []"))
        page.close()
    assert not trouble, "\n".join(trouble)


def watch(page: Page, hub: ServerProcess, topic: str = "") -> None:
    """Open the front page, at a topic when one is named, and wait until it is live."""
    page.goto(f"{hub.url}/#/{topic}" if topic else hub.url)
    expect(page.locator("#connection")).to_have_text("Live")


def numbers(count: int) -> list[str]:
    """What a `Publisher` publishes, as the page shows it."""
    return [str(number) for number in range(1, count + 1)]


def publish(hub: ServerProcess, topic: str, data: Any, *, key: str | None = None, **query: Any) -> str:
    """Publish one event, text as text and the rest as JSON; its id."""
    body, kind = (data, "text/plain") if isinstance(data, str) else (json.dumps(data), "application/json")
    headers = {"Content-Type": kind, **({"Idempotency-Key": key} if key else {})}
    url = f"{hub.url}/topics/{quote(topic)}?{urlencode(query)}"
    request = urllib.request.Request(url, body.encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        published: str = json.load(answer).get("id", "")
        return published


class Publisher:
    """Publishes 1, 2, 3, ... on a topic from a thread, each exactly once, whatever happens to the hub meanwhile."""

    def __init__(self, hub: ServerProcess, topic: str, *, count: int, every: float = 0.02) -> None:
        self.count = count
        self.acknowledged = 0
        self.refused: list[int] = []
        self._hub, self._topic, self._every = hub, topic, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")

    def __enter__(self) -> Publisher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def finish(self, *, within: float = 30.0) -> None:
        """Returns when all is acknowledged."""
        self._thread.join(within)
        assert self.acknowledged == self.count, f"{self.acknowledged} of {self.count}; refused with {self.refused[-5:]}"
        assert set(self.refused) <= {503}

    def _run(self) -> None:
        for number in range(1, self.count + 1):
            while not self._published(number):
                if self._stop.wait(0.05):
                    return
            self.acknowledged = number
            if self._stop.wait(self._every):
                return

    def _published(self, number: int) -> bool:
        try:
            publish(self._hub, self._topic, str(number), key=f"{self._topic}-{number}")
        except urllib.error.HTTPError as error:
            error.close()
            self.refused.append(error.code)
            return False
        except (OSError, ValueError, http.client.HTTPException):
            return False  # killed: the answer may be lost, so the same key is sent again
        return True

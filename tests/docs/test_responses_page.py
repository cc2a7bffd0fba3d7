"""The reference and the explanation of responses follow the code: classes, settings, reasons, states."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import echostream
from echostream.asgi.response import ResponseOptions
from echostream.integrations import starlette
from echostream.stream import machine
from echostream.stream.machine import Act, Happening, State
from echostream.stream.settings import StreamSettings
from echostream.stream.threads import SourceThreads

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "reference" / "responses.md").read_text()
WHY = (DOCS / "explanation" / "one-response.md").read_text()


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading, by what stands in backquotes in their first cell."""
    lines = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| ")]
    return {word: row for row in rows for word in re.findall(r"`([^`]+)`", row[0])}


def test_every_setting_has_its_default():
    assert {name: row[1] for name, row in table("Settings").items()} == {
        field.name: f"`{field.default}`" for field in fields(StreamSettings)
    }


CLASSES = table("Classes")


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_what_its_row_says(name: str):
    _, _, media_type, leaves, heartbeat = CLASSES[name]
    encoder: Any = getattr(echostream, name)().encoder({"http_version": "1.1"})
    assert media_type.startswith(f"`{encoder.media_type}`")
    assert (leaves == "one by one") == encoder.by_item
    assert bool(heartbeat) == bool(encoder.heartbeat)
    assert hasattr(getattr(starlette, name), "responses")


def test_no_class_is_left_out():
    kinds = {name for name in starlette.__all__ if name.endswith("Response")} - {"TopicResponse"}
    assert set(CLASSES) == kinds
    assert set(CLASSES) <= set(echostream.__all__)


def test_every_option_is_named():
    own = {
        name
        for kind in CLASSES
        for name, parameter in inspect.signature(getattr(echostream, kind)).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert set(table("Options")) == own | set(ResponseOptions.__annotations__) | {"background"}


def test_every_reason_is_named():
    endings = {happening.value for (_, happening), (after, _) in machine.TABLE.items() if after is State.OVER}
    assert set(table("Figures")) == endings | {"cancelled"}
    assert Happening.FULL.value in endings


def test_the_diagram_is_that_of_the_code():
    assert machine.__doc__ is not None
    drawn = [line for line in machine.__doc__.splitlines() if re.search(r"[─│└├]|WAITING|commit due|a status of", line)]
    [shown] = re.findall(r"^```text\n(.*?)^```", WHY, re.DOTALL | re.MULTILINE)
    assert shown.splitlines() == drawn


def test_what_ends_a_response_is_what_the_table_says():
    """Each row of the page's last table against the machine's: what is done before the head, and after it."""
    lines = WHY.split("\n## What ends a response\n")[1].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ") and "before the head" not in line]
    said = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    words = {
        Happening.EXHAUSTED: "the source has ended",
        Happening.FAILED: "the source failed, or made an item that the format cannot carry",
        Happening.EXPIRED: "`deadline`",
        Happening.FULL: "`max_bytes` would be passed",
        Happening.DRAINING: "`drain_streams()`: the server is to stop",
        Happening.STALLED: "no byte was taken for `send_timeout`",
        Happening.GONE: "the reader left",
    }
    assert list(said) == list(words.values())
    meaning = {
        "told or cut": Act.TELL,
        "cut": Act.LEAVE,
        "nothing": Act.LEAVE,
        "a status": Act.REFUSE,
        "503": Act.REFUSE,
    }
    meaning |= {"the head, and a whole empty body": Act.FINISH, "the end of the body": Act.FINISH}
    for happening, text in words.items():
        for state, cell in zip((State.WAITING, State.OPEN), said[text], strict=True):
            done = machine.TABLE.get((state, happening))
            assert (done is None) == (not cell), (state, happening)
            assert done is None or done[1][-1] is meaning[cell], (state, happening)


def test_the_bound_of_threads_is_the_codes():
    limit = inspect.signature(SourceThreads).parameters["limit"].default
    assert f"At most {limit} synchronous sources" in PAGE
    assert f"At most {limit} such sources" in (DOCS / "how-to" / "export-rows.md").read_text()

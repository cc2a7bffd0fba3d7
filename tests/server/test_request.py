"""Reading the topic from the raw path: mounted below a prefix, and on servers that give no raw path."""

from __future__ import annotations

from typing import Any

import pytest

from echostream.exceptions import InvalidTopic
from echostream.server.request import topic_of


def scope(path: str, raw: bytes | None, root: str = "") -> dict[str, Any]:
    return {"path": path, "raw_path": raw, "root_path": root}


@pytest.mark.parametrize(
    ("given", "topic"),
    [
        (scope("/topics/a/b", b"/topics/a/b"), "a/b"),
        (scope("/hub/topics/a", b"/hub/topics/a", "/hub"), "a"),
        (scope("/topics/grün", None), "grün"),
        (scope("/topics/a%", None), "a%"),
        (scope("/topics/a", b"/topics/a?x=/topics/b"), "a"),  # a server that leaves the query in
        (scope("/grün/topics/a", b"/gr%C3%BCn/topics/a", "/grün"), "a"),
        (scope("/stream", b"/stream"), None),
        (scope("/x/topics/a", b"/x/topics/a"), None),
    ],
)
def test_the_topic_of_a_path(given: dict[str, Any], topic: str | None) -> None:
    assert topic_of(given) == topic


def test_a_slash_that_a_server_decoded_is_seen_in_the_raw_path() -> None:
    with pytest.raises(InvalidTopic, match="%2F"):
        topic_of(scope("/topics/a/b", b"/topics/a%2Fb"))

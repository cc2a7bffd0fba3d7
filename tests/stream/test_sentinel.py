"""FLUSH and END where they mean nothing: an error, never bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from echostream.exceptions import InvalidItem
from echostream.stream.sentinel import END, FLUSH
from echostream.wire.body import BodyEncoder, CsvBody, JsonArrayBody, NdjsonBody, SseBody, TextBody


@pytest.mark.parametrize("word", [END, FLUSH], ids=repr)
@pytest.mark.parametrize("encoder", [NdjsonBody, JsonArrayBody, SseBody, TextBody, CsvBody])
def test_a_word_that_stands_where_it_means_nothing_is_never_sent(encoder: Callable[[], BodyEncoder], word: object):
    with pytest.raises(InvalidItem, match="Sentinel"):
        encoder().encode([word])


@pytest.mark.parametrize("encoder", [NdjsonBody, JsonArrayBody, SseBody])
def test_nor_within_an_item(encoder: Callable[[], BodyEncoder]):
    with pytest.raises(InvalidItem, match="Sentinel"):
        encoder().encode([{"rows": [END]}])

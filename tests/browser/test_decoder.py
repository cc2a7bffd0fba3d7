"""The page's own decoder against WHATWG's rules, and against ours in Python."""

from __future__ import annotations

import random
from typing import Any

import pytest
from playwright.sync_api import Page

from echostream.wire import SseDecoder
from support.servers import ServerProcess

DECODE = """
async ([streams, cuts]) => {
  const { SseDecoder } = await import("/static/decoder.js");
  return streams.map((hex, index) => {
    const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
    const decoder = new SseDecoder("before");
    const events = [];
    let start = 0;
    for (const end of [...cuts[index], bytes.length]) {
      for (const { type, data, id } of decoder.feed(bytes.subarray(start, end))) events.push([type, data, id]);
      start = end;
    }
    return { events, id: decoder.lastEventId, retry: decoder.retry };
  });
}
"""

# What a stream says, the events in it (type, data, id), and where a reader would go on.
CASES: dict[str, tuple[bytes, list[list[str]], str]] = {
    "plain": (b"data: x\n\n", [["message", "x", "before"]], "before"),
    "bom once": (b"\xef\xbb\xbfdata: x\n\n", [["message", "x", "before"]], "before"),
    "bom twice": (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: y\n\n", [["message", "y", "before"]], "before"),
    "cr": (b"data: x\r\rdata: y\r\r", [["message", "x", "before"], ["message", "y", "before"]], "before"),
    "crlf": (b"data: x\r\ndata: y\r\n\r\n", [["message", "x\ny", "before"]], "before"),
    "mixed ends": (b"data: x\r\ndata: y\n\rdata: z\n\n", [["message", "x\ny", "before"], ["message", "z", "before"]],
                   "before"),
    "one space": (b"data:  x\ndata:y\n\n", [["message", " x\ny", "before"]], "before"),
    "no colon": (b"data\n\n", [["message", "", "before"]], "before"),
    "two empty": (b"data\ndata\n\n", [["message", "\n", "before"]], "before"),
    "comment": (b": data: x\n\n:\n\ndata: y\n\n", [["message", "y", "before"]], "before"),
    "unknown field": (b"Data: x\nfoo: y\n\ndata: z\n\n", [["message", "z", "before"]], "before"),
    "type": (b"event: a\ndata: x\n\ndata: y\n\n", [["a", "x", "before"], ["message", "y", "before"]], "before"),
    "type without data": (b"event: a\n\ndata: y\n\n", [["message", "y", "before"]], "before"),
    "id": (b"id: 1\ndata: x\n\ndata: y\n\n", [["message", "x", "1"], ["message", "y", "1"]], "1"),
    "id alone": (b"id: 7\n\n", [], "7"),
    "id empty": (b"id\ndata: x\n\n", [["message", "x", ""]], ""),
    "id with nul": (b"id: 1\x002\ndata: x\n\n", [["message", "x", "before"]], "before"),
    "unfinished": (b"data: x\n\nid: 9\ndata: y\n", [["message", "x", "before"]], "before"),
    "not utf-8": (b"data: a\xffb\n\n", [["message", "a\ufffdb", "before"]], "before"),
    "other line ends": ("data: a\u2028b\x0bc\n\n".encode(), [["message", "a\u2028b\x0bc", "before"]], "before"),
    "whatwg 1": (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                 [["message", "first event", "1"], ["message", "second event", ""], ["message", " third event", ""]],
                 ""),
}  # fmt: skip

PARTS = [
    b"data: x", b"data", b"data:", b"event: e", b"event", b"id: 1", b"id", b"id: a\x00b", b"retry: 5", b": c", b"zz: 1",
    b"\xef\xbb\xbf", b"\xc3", b"\xa9", "\u2028é".encode(), b" ", b":", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\r\n\n",
]  # fmt: skip


@pytest.fixture
def static_page(shared_hub: ServerProcess, page: Page) -> Page:
    page.goto(f"{shared_hub.url}/static/mark.svg")
    return page


def decode(page: Page, streams: list[bytes], cuts: list[list[int]]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = page.evaluate(DECODE, [[stream.hex() for stream in streams], cuts])
    return answer


def test_the_rules_of_whatwg(static_page: Page) -> None:
    for name, (stream, events, last_id) in CASES.items():
        ways = [[], list(range(1, len(stream))), *([cut] for cut in range(1, len(stream)))]
        for got, cuts in zip(decode(static_page, [stream] * len(ways), ways), ways, strict=True):
            assert (got["events"], got["id"]) == (events, last_id), f"{name}, cut at {cuts}"


@pytest.mark.parametrize(
    ("field", "milliseconds"),
    [("retry: 1500", 1500), ("retry:0", 0), ("retry: 1.5", None), ("retry: -5", None), ("retry:", None),
     ("retry", None), ("retry: 5s", None), ("retry: ٣", None), ("retry: 99999999999999", 2**31 - 1)],
)  # fmt: skip
def test_retry_takes_digits_alone(static_page: Page, field: str, milliseconds: int | None) -> None:
    (got,) = decode(static_page, [f"{field}\n\n".encode()], [[]])
    assert got["retry"] == milliseconds


def test_it_agrees_with_our_decoder_in_python(static_page: Page) -> None:
    chance = random.Random(20260101)
    streams = [b"".join(chance.choices(PARTS, k=chance.randint(1, 40))) for _ in range(300)]
    cuts = [sorted(chance.sample(range(len(s) + 1), k=min(len(s), 5))) for s in streams]
    for stream, got in zip(streams, decode(static_page, streams, cuts), strict=True):
        decoder = SseDecoder()
        expected = [(message.event, message.data) for message in decoder.feed(stream)]
        assert [(kind, data) for kind, data, _ in got["events"]] == expected, stream


def test_an_event_without_end_is_refused(static_page: Page) -> None:
    told = static_page.evaluate("""async () => {
      const { SseDecoder } = await import("/static/decoder.js");
      const decoder = new SseDecoder();
      const line = new TextEncoder().encode("data: " + "x".repeat(1024 * 1024) + "\\n");
      try {
        for (let times = 0; times < 8; times += 1) decoder.feed(line);
      } catch (error) {
        return error.name;
      }
    }""")
    assert told == "RangeError"

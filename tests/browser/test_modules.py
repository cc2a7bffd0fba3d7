"""The page's modules by themselves: rows put together from two sources, and JSON shown as it came."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from playwright.sync_api import Page

from support.servers import ServerProcess

ROWS = """
async (deliveries) => {
  const { Rows } = await import("/static/rows.js");
  const { parsePosition } = await import("/static/position.js");
  return deliveries.map((texts) => {
    const rows = new Rows("t");
    for (const text of texts) rows.add({ position: parsePosition(text), topic: "t", event: "", data: "0", time: 0 });
    return rows.list.map((row) => row.event.position?.text ?? null);
  });
}
"""

JSON = """
async (texts) => {
  const { elements, layout, members } = await import("/static/json.js");
  return texts.map((text) => ({
    whole: layout(text, 1e9).parts.map((part) => part[1]).join(""),
    cut: layout(text, 50).parts.map((part) => part[1]).join(""),
    members: Object.fromEntries(members(text) ?? []),
    elements: elements(text),
  }));
}
"""

JSON_TEXTS = [
    "{}", "[]", "0", "-1.5e+300", "null", "true", '""', r'"a\"b\\"', r'"\\\" ]}"', " [ 1 ,\t2 ] ", "[[[[]]], {}]",
    '{"n":12345678901234567890,"n":1.10}', '{"a":{"b":[1,2,{"c":null}]},"d":"x:,]}"}', '{"":""}',
    r'{"\u0000":"\ud800"}', '{"ünï":"çødé","emoji":"💩"}',
]  # fmt: skip


@pytest.fixture
def modules(shared_hub: ServerProcess, page: Page) -> Page:
    page.goto(f"{shared_hub.url}/static/mark.svg")
    return page


def test_rows_are_in_order_and_once_whatever_came_first(modules: Page) -> None:
    chance = random.Random(7)
    deliveries: list[list[str]] = []
    for _ in range(300):
        live_from, kept_to, last = sorted(chance.sample(range(1, 190), 3))
        live = [f"abc.{n}" for n in range(live_from, last + 1)]
        kept = [f"abc.{n}" for n in range(1, kept_to + 1)]
        at = chance.randint(0, len(live))  # the answer comes somewhere among the live ones
        deliveries.append([*live[:at], *kept, *live[at:]])
    for got, delivered in zip(modules.evaluate(ROWS, deliveries), deliveries, strict=True):
        assert got == [f"abc.{n}" for n in range(1, len(got) + 1)]
        assert set(got) == set(delivered)


def test_rows_are_bounded_and_what_left_does_not_come_back(modules: Page) -> None:
    delivered = [f"abc.{n}" for n in range(1, 451)] + [f"abc.{n}" for n in range(100, 300)]
    (got,) = modules.evaluate(ROWS, [delivered])
    assert got == [f"abc.{n}" for n in range(251, 451)]


def test_offsets_past_two_to_the_53_keep_their_order(modules: Page) -> None:
    near = 2**53
    delivered = [f"abc.{n}" for n in (near + 1, near, near + 3, near + 2, near)]
    (got,) = modules.evaluate(ROWS, [delivered])
    assert got == [f"abc.{n}" for n in range(near, near + 4)]


def test_another_epoch_follows_and_ephemeral_events_stay_where_they_came(modules: Page) -> None:
    (got,) = modules.evaluate(ROWS, [["old.7", "", "old.9", "old.8", "new.1", "", "new.2"]])
    assert got == ["old.7", None, "old.8", "old.9", "new.1", None, "new.2"]


def test_json_is_laid_out_and_never_rebuilt(modules: Page) -> None:
    for text, got in zip(JSON_TEXTS, modules.evaluate(JSON, JSON_TEXTS), strict=True):
        assert squeezed(got["whole"]) == squeezed(text)
        assert len(got["cut"]) <= 50
        assert got["whole"].startswith(got["cut"][:20].rstrip())


def test_long_json_is_indented(modules: Page) -> None:
    value = {"orders": [{"id": n, "sku": "x" * 20, "tags": ["a", "b"]} for n in range(6)], "empty": {}}
    (got,) = modules.evaluate(JSON, [json.dumps(value)])
    assert json.loads(got["whole"]) == value
    assert got["whole"].splitlines()[1] == '  "orders": ['
    assert got["whole"].splitlines()[2] == '    {"id": 0, "sku": "xxxxxxxxxxxxxxxxxxxx", "tags": ["a", "b"]},'


def test_members_and_elements_are_cut_out_as_they_are(modules: Page) -> None:
    for text, got in zip(JSON_TEXTS, modules.evaluate(JSON, JSON_TEXTS), strict=True):
        value: Any = json.loads(text)
        assert {name: json.loads(part) for name, part in got["members"].items()} == (
            value if isinstance(value, dict) else {}
        )
        assert (got["elements"] and [json.loads(part) for part in got["elements"]]) == (
            value if isinstance(value, list) else None
        )


def test_a_value_nested_past_all_reason_is_shown_in_linear_time(modules: Page) -> None:
    deep = "[" * 60_000 + "]" * 60_000
    (got,) = modules.evaluate(JSON, [deep])
    assert squeezed(got["whole"]) == deep


def test_a_string_of_escapes_alone_is_one_token_still(modules: Page) -> None:
    text = '{"a":"' + r"\n" * 500_000 + '"}'
    (got,) = modules.evaluate(JSON, [text])
    assert squeezed(got["whole"]) == text


def squeezed(text: str) -> str:
    """Without the space between tokens. Strings among the cases have none that matters."""
    return "".join(text.split())

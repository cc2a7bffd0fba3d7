"""What FastAPI's OpenAPI document says of a stream, held against what the stream sends."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, computed_field, create_model

from echostream.integrations.item_schema import MOST_DEFINITIONS, item_schema
from echostream.integrations.starlette import (
    BytesStreamResponse,
    CSVResponse,
    EventStreamResponse,
    JSONArrayResponse,
    NDJSONResponse,
    TextStreamResponse,
)
from echostream.testing import drive


class Price(BaseModel):
    amount: float
    currency: Literal["EUR", "USD"] = "EUR"


class Order(BaseModel):
    number: int
    made_at: datetime = Field(serialization_alias="madeAt")
    price: Price | None = None

    @computed_field
    @property
    def even(self) -> bool:
        return self.number % 2 == 0


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    friend: Cat | None = None


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Point(msgspec.Struct):
    x: int
    label: str | None = None


class Circle(msgspec.Struct, tag=True):
    centre: Point
    radius: float


class Square(msgspec.Struct, tag=True):
    corner: Point


class Tree(msgspec.Struct):
    value: int
    left: Tree | None = None


@dataclass
class Reading:
    sensor: str
    value: float


ORDER = Order(number=7, made_at=datetime(2026, 1, 2, tzinfo=UTC), price=Price(amount=1.5))
CASES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    # a type, items of it, and values that are none
    "model": (Order, [ORDER], [{"number": "7"}, {"number": 7, "made_at": "2026-01-02T00:00:00Z", "even": True}]),
    "union": (Order | Price, [ORDER, Price(amount=2)], [{"amount": "much"}, 7]),
    "discriminated": (Pet, [Cat(lives=9), Dog(friend=Cat(lives=1))], [{"kind": "cow", "lives": 1}, {"kind": "cat"}]),
    "list": (list[Order], [[ORDER, ORDER], []], [ORDER.model_dump(mode="json", by_alias=True), [{}]]),
    "optional": (int | None, [1, None], ["1"]),
    "mapping": (dict[str, float], [{"a": 1.5}], [{"a": "b"}, []]),
    "recursive": (Node, [Node(name="a", children=[Node(name="b")])], [{"children": []}, {"name": 1}]),
    "struct": (Point, [Point(1), Point(2, "two")], [{"label": "two"}, {"x": "1"}]),
    "tagged": (Circle | Square, [Circle(Point(1), 2.0), Square(Point(1))], [{"type": "Line"}, {"centre": 1}]),
    "structs": (list[Point] | None, [[Point(1)], None], [[1], {"x": 1}]),
    "recursive-struct": (Tree, [Tree(1, Tree(2))], [{"left": None}]),
    "dataclass": (Reading, [Reading("a", 1.5)], [{"sensor": "a"}]),
    "any": (Any, [1, "a", {"b": None}], []),
}
over_types = pytest.mark.parametrize(("item", "good", "bad"), CASES.values(), ids=CASES)


def document(**routes: Any) -> Any:
    """The document of an application with a route for each of these `responses`."""
    app = FastAPI()
    for name, (kind, responses) in routes.items():
        app.get(f"/{name}", response_class=kind, responses=responses)(lambda: None)
    return json.loads(json.dumps(app.openapi()))


def content_of(kind: Any, responses: Any) -> dict[str, Any]:
    found: dict[str, Any] = document(stream=(kind, responses))["paths"]["/stream"]["get"]["responses"]["200"]["content"]
    return found


def check(schema: Any, good: list[Any], bad: list[Any]) -> None:
    assert "#/" not in json.dumps(schema), "a reference, which begins at the root of a document that this is not"
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for value in good:
        validator.validate(value)
    for value in bad:
        assert not validator.is_valid(value), value


async def sent(response: Any) -> bytes:
    async with drive(response) as driven:
        body = await driven.read()
        assert await driven.ended() == "complete"
        return body


@over_types
async def test_lines(item: Any, good: list[Any], bad: list[Any]):
    content = content_of(NDJSONResponse, NDJSONResponse.responses(item))
    assert content.keys() == {"application/x-ndjson"}
    assert content["application/x-ndjson"].keys() == {"itemSchema"}
    body = await sent(NDJSONResponse(good))
    check(content["application/x-ndjson"]["itemSchema"], [json.loads(line) for line in body.splitlines()], bad)


@over_types
async def test_an_array(item: Any, good: list[Any], bad: list[Any]):
    content = content_of(JSONArrayResponse, JSONArrayResponse.responses(item))
    assert content.keys() == {"application/json"}
    body = await sent(JSONArrayResponse(good))
    check(content["application/json"]["schema"], [json.loads(body), []], [[value] for value in bad])


@over_types
async def test_events(item: Any, good: list[Any], bad: list[Any]):
    content = content_of(EventStreamResponse, EventStreamResponse.responses(item))
    assert content.keys() == {"text/event-stream"}
    schema = content["text/event-stream"]["itemSchema"]
    check(schema, [{"data": "{}", "event": "x", "id": "1", "retry": 5}], [{}, {"data": 1}, {"data": "", "retry": -1}])
    data = schema["properties"]["data"]
    assert data["contentMediaType"] == "application/json"
    items = [value for value in good if not isinstance(value, str)]  # a text is its own data
    async with drive(EventStreamResponse(items)) as driven:
        events = [event for event in await driven.events() if event.event == "message"]
    check(data["contentSchema"], [json.loads(event.data) for event in events], bad)


def test_the_formats_without_items():
    plain = {"schema": {"type": "string"}}
    assert content_of(CSVResponse, CSVResponse.responses()) == {"text/csv": plain}
    assert content_of(TextStreamResponse, TextStreamResponse.responses()) == {"text/plain": plain}
    assert content_of(BytesStreamResponse, BytesStreamResponse.responses()) == {"application/octet-stream": {}}
    assert content_of(BytesStreamResponse, BytesStreamResponse.responses("image/png")) == {"image/png": {}}
    text = content_of(EventStreamResponse, EventStreamResponse.responses())["text/event-stream"]["itemSchema"]
    assert text["properties"]["data"] == {"type": "string"}
    assert content_of(NDJSONResponse, NDJSONResponse.responses()) == {"application/x-ndjson": {"itemSchema": {}}}


def test_other_answers_of_the_route_keep_their_own_type():
    responses = {**NDJSONResponse.responses(Order), 404: {"model": Price}}
    answers = document(stream=(NDJSONResponse, responses))["paths"]["/stream"]["get"]["responses"]
    assert answers["404"]["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Price"}}}
    assert answers["200"]["description"] == "A line of JSON an item"


def test_a_member_may_have_any_name():
    """Of a schema's own words too."""
    item = create_model("Odd", **{"discriminator": (int, ...), "oneOf": (int, ...), "$defs": (int, ...)})  # type: ignore[call-overload]
    check(item_schema(item), [{"discriminator": 1, "oneOf": 2, "$defs": 3}], [{"oneOf": 2, "$defs": 3}])


def test_types_that_refer_to_each_other_crosswise_end_somewhere():
    """Each of 12 kinds of expression has two expressions in it: 12! ways through them."""
    names = [f"Expression{number}" for number in range(12)]
    space: dict[str, Any] = {}
    fields = "\n".join(f"    {side}: 'Union[{', '.join(names)}]'" for side in ("left", "right"))
    code = "\n".join(f"class {name}(BaseModel):\n    kind: Literal['{name}']\n{fields}" for name in names)
    exec(f"from typing import Literal, Union\nfrom pydantic import BaseModel\n{code}", space)
    for name in names:
        space[name].model_rebuild(_types_namespace=space)
    began = time.process_time()
    schema = item_schema(space["Expression0"])
    assert time.process_time() - began < 2
    text = json.dumps(schema)
    assert text.count('"properties"') <= MOST_DEFINITIONS
    first = schema["properties"]["left"]["anyOf"]
    assert all("properties" in part or part == {"title": "Expression0"} for part in first), "what is near is whole"
    Draft202012Validator.check_schema(schema)


async def test_without_a_schema_the_routes_are_documented_all_the_same():
    found = document(stream=(NDJSONResponse, None))["paths"]["/stream"]["get"]["responses"]["200"]
    assert found == {"description": "Successful Response"}

"""The API as an OpenAPI 3.1 document: `GET /openapi.json`. A test compares it with what the hub does."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

__all__ = ["openapi"]

Schema = dict[str, Any]


def openapi() -> Schema:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "echostream",
            "version": version("echostream"),
            "summary": "Publish to topics, subscribe to them, and never lose the place.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            "/topics/{topic}": _topic_path(),
            "/stream": {"get": _stream_call()},
            "/healthz": {"get": _plain_call("health", "Whether the process answers.", "application/json")},
            "/readyz": {"get": _ready_call()},
            "/metrics": {"get": _plain_call("metrics", "Figures for Prometheus.", "text/plain")},
            "/openapi.json": {"get": _plain_call("describe", "This document.", "application/json")},
            "/": {"get": _plain_call("page", "The front page.", "text/html")},
        },
        "components": {"schemas": _schemas(), "responses": _responses(), "parameters": _parameters()},
    }


def _topic_path() -> Schema:
    topic = {
        "name": "topic",
        "in": "path",
        "required": True,
        "description": "1 to 256 bytes of UTF-8 in segments separated by '/'; no '*', no control character, "
        "no empty, '.' or '..' segment, no %2F. Names under hub/ are the hub's own.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 256},
    }
    return {"parameters": [topic], "get": _subscribe_call(), "post": _publish_call()}


def _subscribe_call() -> Schema:
    return {
        "operationId": "subscribe",
        "summary": "Subscribe to one topic.",
        "parameters": _refs("parameters", "format", "since", "last_event_id", "live", "envelope", "Last-Event-ID"),
        "responses": _stream_responses(),
    }


def _stream_call() -> Schema:
    topics = {
        "name": "topic",
        "in": "query",
        "required": True,
        "description": "A topic, or a pattern: * is one segment, ** at the end is one or more. At most 64.",
        "style": "form",
        "explode": True,
        "schema": {"type": "array", "minItems": 1, "maxItems": 64, "items": {"type": "string"}},
    }
    shared = _refs("parameters", "format", "since", "last_event_id", "live", "envelope", "Last-Event-ID")
    return {
        "operationId": "subscribeMany",
        "summary": "Subscribe to many topics.",
        "parameters": [topics, *shared],
        "responses": _stream_responses(),
    }


def _stream_responses() -> Schema:
    return {
        "200": {
            "description": "The stream. To `Accept: text/event-stream` alone, a refusal that will pass is told here, "
            "too, as `stream-error`, because EventSource never comes back after another status.",
            "headers": {
                "Echostream-Resume": {
                    "description": "How it begins.",
                    "schema": {"enum": ["live", "resumed", "gap", "reset"]},
                }
            },
            "content": {
                "text/event-stream": {"schema": {"type": "string"}},
                "application/x-ndjson": {"schema": {"type": "string", "description": "One Envelope a line."}},
                "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Envelope"}}},
                "text/plain": {"schema": {"type": "string"}},
            },
        },
        "204": {
            "description": "All topics are finished and the position is past their ends: there is nothing to come."
        },
        **_problems(400, 406, 421, 429, 431, 500, 503, 505),
    }


def _publish_call() -> Schema:
    flag = {"enum": ["0", "1", "false", "true"]}
    text = {"type": "string", "maxLength": 256}
    return {
        "operationId": "publish",
        "summary": "Publish one event, or a batch.",
        "parameters": [
            {"name": "event", "in": "query", "description": "The event's type name.", "schema": text},
            {
                "name": "key",
                "in": "query",
                "description": "What the event is about, for readers that keep the newest of each.",
                "schema": text,
            },
            {
                "name": "ephemeral",
                "in": "query",
                "description": "Do not keep it: whoever is there gets it.",
                "schema": flag,
            },
            {"name": "end", "in": "query", "description": "Finish the topic.", "schema": flag},
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Repeating a publication with the same key within 10 minutes publishes nothing twice.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 256},
            },
        ],
        "requestBody": {
            "description": "One event's data: a JSON type is validated and kept as it is, text/* is text; a form type "
            "(plain `curl -d`) or none is JSON if it parses, else text. application/x-ndjson is a batch of BatchLine, "
            "all or none.",
            "required": False,
            "content": {
                "application/json": {"schema": {}},
                "text/plain": {"schema": {"type": "string"}},
                "application/x-www-form-urlencoded": {"schema": {"type": "string"}},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        },
        "responses": {
            "201": _json("Kept.", {"anyOf": [_schema("Published"), _schema("PublishedBatch")]}),
            "202": _json("Passed on, not kept.", _schema("PassedOn")),
            **_problems(400, 403, 408, 409, 413, 415, 421, 422, 429, 431, 500, 501, 503, 507),
        },
    }


def _ready_call() -> Schema:
    call = _plain_call("ready", "Whether events can be kept and streams begun.", "application/json")
    call["responses"].update(_problems(503, 507))
    return call


def _plain_call(name: str, summary: str, media_type: str) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {media_type: {}}}, **_problems(421, 431)},
    }


def _parameters() -> Schema:
    query: list[tuple[str, str, Schema]] = [
        ("format", "Instead of Accept.", {"enum": ["sse", "ndjson", "json", "text"]}),
        (
            "since",
            "Where to begin without a last id: latest, earliest, an event's id, a span (10m) or a count (-20).",
            {"type": "string", "default": "latest"},
        ),
        ("last_event_id", "The same as the header Last-Event-ID.", {"type": "string"}),
        ("live", "false: what is kept now, and the end.", {"enum": ["0", "1", "false", "true"]}),
        ("envelope", "Whether SSE carries envelopes or the data alone.", {"enum": ["0", "1", "false", "true"]}),
    ]
    parameters: Schema = {
        name: {"name": name, "in": "query", "description": about, "schema": schema} for name, about, schema in query
    }
    parameters["Last-Event-ID"] = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that was read: the stream goes on after it.",
        "schema": {"type": "string"},
    }
    return parameters


def _schemas() -> Schema:
    text, nullable = {"type": "string"}, {"type": ["string", "null"]}
    durability = {"enum": ["full", "normal", "memory"]}
    return {
        "Envelope": _object(id=nullable, topic=text, event=nullable, data={}, time=nullable, key=nullable),
        "BatchLine": {
            "type": "object",
            "required": ["data"],
            "additionalProperties": False,
            "properties": {"data": {}, "event": nullable, "key": nullable},
        },
        "Published": _object(id=text, topic=text, durability=durability),
        "PublishedBatch": _object(ids={"type": "array", "items": text}, topic=text, durability=durability),
        "PassedOn": _object(topic=text, durability={"const": "none"}),
        "Problem": _object(
            type=text,
            title=text,
            status={"type": "integer"},
            code={"type": "string", "description": "What a program can act on."},
            detail={"type": "string", "description": "What a person can do about it."},
        ),
    }


PROBLEMS = {
    400: "Something in the request cannot be used; the detail names it.",
    403: "The topic is the hub's own, or a page of another origin may not write here.",
    406: "No format that can be given fits Accept.",
    408: "The body took too long.",
    409: "The topic is finished.",
    413: "The body, an event or the batch is over its bound.",
    415: "The body's type, charset or encoding is not taken.",
    421: "On loopback, a Host that is not a loopback name.",
    422: "The idempotency key was used with another body.",
    429: "Too many requests of this address are open.",
    431: "The request line and headers are over 16 KiB, or over 100 fields.",
    500: "The log is damaged, or the hub has a fault of its own.",
    501: "The body has a transfer coding besides chunked.",
    503: "The hub is full, shutting down, or its log cannot be reached.",
    505: "HTTP/1.0 cannot carry a format that does not tell its own end.",
    507: "The log has no room.",
}


def _responses() -> Schema:
    return {
        f"Problem{status}": {
            "description": about,
            "content": {"application/problem+json": {"schema": _schema("Problem")}},
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status in (429, 503) else {}),
        }
        for status, about in PROBLEMS.items()
    }


def _problems(*statuses: int) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}


def _refs(kind: str, *names: str) -> list[Schema]:
    return [{"$ref": f"#/components/{kind}/{name}"} for name in names]


def _schema(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}

"""Refusals that only HTTP knows (a path, a method, a Host ...), and how every error becomes an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Scope

from ..asgi import problem, problem_response, refuse, status_of
from ..exceptions import EchostreamError
from .plain import NOSNIFF
from .proxies import header_values

__all__ = ["HttpProblem", "answer", "answer_stream"]


class HttpProblem(EchostreamError):
    """A request refused for a reason of HTTP. `code` is for programs, `detail` for people, `facts` go along."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        self.facts = facts


def answer(error: EchostreamError) -> ASGIApp:
    """The application that answers `error` with a problem document."""
    if isinstance(error, HttpProblem):
        return problem(error.status, error.code, error.public, facts=error.facts, headers=error.headers)
    return problem_response(error)


def answer_stream(error: EchostreamError, scope: Scope) -> ASGIApp:
    """The same for a request to subscribe: what will pass is told to native `EventSource` so that it comes back."""
    status = error.status if isinstance(error, HttpProblem) else status_of(error)
    if status not in (429, 503):
        return answer(error)
    accept = ", ".join(header_values(scope, b"accept")) or None
    return refuse(status, error.code, error.public, accept, headers=[NOSNIFF])

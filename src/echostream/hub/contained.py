"""Contained: what raises in one reader's turn cuts that reader, and nobody else."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

__all__ = ["contained"]

logger = logging.getLogger("echostream.hub")


class _Breakable(Protocol):
    stream: str

    def break_off(self) -> None: ...


P = ParamSpec("P")
B = TypeVar("B", bound=_Breakable)


def contained(method: Callable[Concatenate[B, P], None]) -> Callable[Concatenate[B, P], None]:
    """What raises here cuts this reader; whoever has their turn in the same loop goes on as if nothing was."""

    @functools.wraps(method)
    def wrapper(self: B, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            logger.exception("stream %s failed and is cut", self.stream)
            self.break_off()

    return wrapper

"""testing: what we test with, for the tests of others. `LogSuite` is what every log promises."""

from __future__ import annotations

from .log_suite import LogSuite

__all__ = ["LogSuite"]

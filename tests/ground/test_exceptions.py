"""Errors: what a program may act on, and what a stranger may be told."""

from __future__ import annotations

from typing import Any

import pytest

import echostream
from echostream import exceptions
from echostream.exceptions import (
    EchostreamError,
    InvalidInput,
    LogCorrupt,
    LogError,
    LogFull,
    LogUnavailable,
    StreamFailed,
)


def test_every_error_has_one_root_and_a_code():
    kinds = [getattr(exceptions, name) for name in exceptions.__all__]
    assert all(issubclass(kind, EchostreamError) for kind in kinds)
    assert all(kind.code.replace("-", "").isalpha() for kind in kinds)
    assert issubclass(InvalidInput, ValueError)
    assert set(exceptions.__all__) <= set(echostream.__all__)


def test_what_a_log_says_of_its_file_is_not_told_to_strangers():
    secret = "/srv/secret/events.db"
    for error in (LogFull(secret), LogUnavailable(secret), LogCorrupt(secret, 7), LogError(secret)):
        assert secret in str(error)
        assert secret not in error.public
        assert len(error.public) > 20


def test_what_the_caller_did_wrong_is_told_whole():
    assert InvalidInput("since", "is nonsense").public == "since: is nonsense"


@pytest.mark.parametrize(("code", "message", "told"), [(404, "gone", "code"), ("gone", LookupError("gone"), "message")])
def test_a_failure_is_told_in_text(code: Any, message: Any, told: str):
    """Not as `HTTPException(404, "gone")`, which would be a 500 here."""
    with pytest.raises(InvalidInput, match=f"^{told}: must be text, not .*status=404"):
        StreamFailed(code, message)

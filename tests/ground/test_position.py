"""Positions and their text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echostream.exceptions import InvalidPosition
from echostream.position import MAX_OFFSET, Position, new_epoch


@given(st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True), st.integers(0, MAX_OFFSET))
def test_text_and_back(epoch: str, offset: int):
    position = Position(epoch, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "a", "a.", ".1", "a.-1", "a.01", "a.1.2", "A.1", "a b.1", "a.1 ", "a.1\n", "a.٣", "a.1e3"),
        *("x" * 33 + ".1", f"a.{MAX_OFFSET + 1}", "a." + "9" * 4000),
    ],
)
def test_other_text_is_refused(text: str):
    with pytest.raises(InvalidPosition) as caught:
        Position.parse(text)
    assert len(str(caught.value)) < 200


def test_epochs_differ_and_can_be_read():
    epochs = {new_epoch() for _ in range(100)}
    assert len(epochs) == 100
    for epoch in epochs:
        assert Position.parse(f"{epoch}.0").epoch == epoch

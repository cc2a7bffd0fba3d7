"""Medians, quartiles and ratios."""

from __future__ import annotations

import pytest
from benchmarks.figures import Summary, percentile, ratios, summary


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([5], 0.5, 5),
        ([1, 2], 0.5, 1.5),
        ([3, 1, 2], 0, 1),
        ([3, 1, 2], 1, 3),
        ([4, 1, 3, 2, 5], 0.25, 2),
        ([4, 1, 3, 2], 0.25, 1.75),
        (range(101), 0.99, 99),
    ],
)
def test_percentile(values: list[float], share: float, wanted: float) -> None:
    assert percentile(values, share) == pytest.approx(wanted)


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1], -0.1), ([1], 1.1), ([1], float("nan"))])
def test_percentile_of_nothing_is_an_error(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"no values|between 0 and 1"):
        percentile(values, share)


def test_summary_keeps_the_order_of_the_rounds() -> None:
    assert summary([4, 1, 3, 2, 5]) == Summary(3, 2, 4, (4, 1, 3, 2, 5))
    assert summary([1, 2]).as_json() == {"median": 1.5, "low": 1.25, "high": 1.75, "values": (1, 2)}


def test_ratios_go_round_by_round() -> None:
    """In round 2 the machine was ten times slower for both: the ratio does not know of it."""
    assert ratios([2, 20, 2], [1, 10, 1]) == Summary(2, 2, 2, (2, 2, 2))


def test_ratios_want_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])

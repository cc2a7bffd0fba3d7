"""Numbers that stand for many: medians with their quartiles, and ratios taken pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

__all__ = ["Summary", "percentile", "ratios", "summary"]


@dataclass(frozen=True, slots=True)
class Summary:
    """The median, the lower and the upper quartile of `values`, which stay in the order of the rounds."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, in a straight line between the two nearest.

    Raises `ValueError` for no values, or a share that is none.
    """
    if not values:
        raise ValueError("no values")
    if not 0 <= share <= 1:
        raise ValueError(f"share must be between 0 and 1, not {share}")
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below, above = math.floor(place), math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summary(values: Sequence[float]) -> Summary:
    """Raises `ValueError` for no values."""
    return Summary(median(values), percentile(values, 0.25), percentile(values, 0.75), tuple(values))


def ratios(values: Sequence[float], reference: Sequence[float]) -> Summary:
    """Each value by the reference's of the same round, so that what slowed the whole machine for a while cancels out.

    Raises `ValueError` when the two have not the same rounds.
    """
    return summary([value / other for value, other in zip(values, reference, strict=True)])

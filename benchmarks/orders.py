"""The rows that every peer serves: orders, with typed cells as a database gives them, the same in every process."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["COLUMNS", "Row", "csv_body", "orders", "write_json_lines"]

COLUMNS = ["id", "customer", "email", "amount", "note", "placed", "discount", "items"]

Row = tuple[int, str, str, float, str, str, float | None, int]

_FIRST = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Zoë", "Niklaus", "Frances")
_LAST = ("Lovelace", "Hopper", "Dijkstra", "Liskov", "Knuth", "Müller", "Wirth", "Allen")
_NOTES = ("leave at the door", "gift", "call first", "back entrance", "no hurry")
_SEED = 20_250


def orders(count: int) -> Iterator[Row]:
    """`count` rows, about 89 bytes each as CSV. One note in a hundred has a comma, one discount in three is null.

    Amounts are never whole: languages do not agree on how to write 12.0, and it is not theirs that is measured.
    """
    pick = random.Random(_SEED)
    for number in range(1, count + 1):
        first, last = pick.choice(_FIRST), pick.choice(_LAST)
        yield (
            number,
            f"{first} {last}",
            f"{first[0].lower()}{number}@example.org",
            pick.randrange(900_000) + pick.randrange(1, 100) / 100,
            "ring twice, please" if number % 100 == 0 else pick.choice(_NOTES),
            f"2025-{pick.randrange(1, 13):02}-{pick.randrange(1, 29):02}T{pick.randrange(24):02}:00:{number % 60:02}",
            None if number % 3 == 0 else (pick.randrange(1, 50) * 10 + 1) / 1000,
            pick.randrange(1, 40),
        )


def csv_body(count: int) -> bytes:
    """The CSV body that every peer must give, byte for byte: a header, rows, CRLF as in RFC 4180."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(orders(count))
    return text.getvalue().encode()


def write_json_lines(path: Path, count: int) -> None:
    """The rows as a file, for peers that are not written in Python."""
    with path.open("w") as file:
        file.writelines(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in orders(count))

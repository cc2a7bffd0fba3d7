"""Many large exports at once, each from its own SQLite cursor: memory stays where it was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

# The measuring core is that of the benchmarks, which lie beside tests/.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.exports import GOAL, exporting, make_database, measure

READERS, BYTES = 20, 10_000_000


def test_twenty_exports_of_ten_megabytes_stay_within_the_bound(
    tmp_path: Path, record_property: Callable[[str, object], None]
):
    database = tmp_path / "orders.db"
    rows = make_database(database, BYTES + BYTES // 20)
    with exporting(tmp_path, database) as server:
        # All readers stop at their first MiB until the last has it, so all are open at once.
        outcome = measure(server, readers=READERS, rows=rows)
    early, late = min(outcome.first_bytes) * 1000, max(outcome.first_bytes) * 1000
    print(
        f"\n{READERS} exports of {outcome.body_bytes / 1e6:.1f} MB: {outcome.above_idle / 1e6:.1f} MB above idle, "
        f"first bytes after {early:.0f} to {late:.0f} ms, all in {outcome.seconds:.1f} s"
    )
    record_property("bytes above idle", outcome.above_idle)
    record_property("first bytes", outcome.first_bytes)
    assert outcome.body_bytes >= BYTES
    assert outcome.above_idle <= GOAL

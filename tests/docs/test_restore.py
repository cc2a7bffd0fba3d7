"""What the page on logs says of restored backups: with a new epoch nobody is given other events than they missed."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from echostream import Hub, Position

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "logs.md"


async def test_a_restored_copy_with_a_new_epoch_is_told_as_a_reset(tmp_path: Path):
    original, copy = tmp_path / "events.db", tmp_path / "copy.db"
    async with Hub(f"sqlite:///{original}") as hub:
        await hub.publish("a", "in the backup")
        await asyncio.to_thread(back_up, original, copy)
        later = await hub.publish("a", "after the backup")
    statement = re.search(r'"(update log set epoch [^"]*)"', PAGE.read_text())
    assert statement is not None
    with closing(sqlite3.connect(copy)) as database:
        database.execute(statement[1])
        database.commit()
    async with Hub(f"sqlite:///{copy}") as hub, hub.subscribe("a", last_event_id=later.ids[0]) as restored:
        other = await hub.publish("a", "another event, with an offset used before")
        assert Position.parse(other.ids[0]).offset == Position.parse(later.ids[0]).offset
        assert restored.start is not None
        assert restored.start.resume == "reset"
        assert (await anext(restored)).data == "in the backup"


def back_up(original: Path, copy: Path) -> None:
    # In a process of its own, as the page has it: two SQLite libraries in one process break each other's locks.
    lines = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
    subprocess.run([sys.executable, "-c", lines, original, copy], check=True, timeout=20)

"""A process that writes to a log until it is killed: `python log_writer.py PATH DURABILITY`.

Prints a line per acknowledged append: the offset and the word that is its data and idempotency key.
"""

from __future__ import annotations

import asyncio
import sys

from echostream.event import Event
from echostream.log import IdempotencyKey
from echostream.log.sqlite import SqliteLog


async def write(log: SqliteLog, name: str) -> None:
    for number in range(1_000_000):
        word = f"{name}.{number}"
        [offset] = await log.append([Event(data=word, topic=f"t/{name}")], IdempotencyKey(word))
        sys.stdout.write(f"{offset} {word}\n")
        sys.stdout.flush()


async def main() -> None:
    log = SqliteLog(sys.argv[1], durability=sys.argv[2])
    await log.open()
    await asyncio.gather(*(write(log, name) for name in "abcd"))


if __name__ == "__main__":
    asyncio.run(main())

"""rows: one export of many rows as CSV and as NDJSON, ours beside Starlette's StreamingResponse and Go's net/http.

Every peer makes its rows before it listens and gives the same body: CSV byte for byte, NDJSON
the same objects (whether there is a space after a colon is each encoder's own). A peer is one
process; the client is this one. What is measured: seconds from the request to the last byte and
to the first, and the CPU that the server used.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contest import Contestant, Measured, contest
from .figures import ratios, summary
from .options import Options
from .orders import COLUMNS, csv_body, orders, write_json_lines
from .peers import go
from .reader import body, read
from .report import Report, Table, spread
from .server import Server, serving, uvicorn

__all__ = ["FORMATS", "ROWS", "WHAT", "run"]

WHAT = "one export of 400,000 rows as CSV and as NDJSON, beside Starlette and Go"
ROWS = 400_000
QUICK_ROWS = 100_000
FORMATS = ("csv", "ndjson")

OURS = "echostream, list"
# The faster way to yield a row a step: the other hops to a thread and back for each.
PER_ROW = "Starlette, async, a row a step"
GO = "Go, net/http"
GOAL_PER_ROW, GOAL_GO = 5, 2


@dataclass(frozen=True, slots=True)
class _Peer:
    """One way to make the rows: which server, and which path of it."""

    name: str
    server: str
    path: str


_PEERS = (
    _Peer(OURS, "echostream", "/{form}/list"),
    _Peer("echostream, generator", "echostream", "/{form}/generator"),
    _Peer("echostream, async generator", "echostream", "/{form}/async"),
    _Peer(GO, "go", "/{form}"),
    _Peer("Starlette, 1,000 rows a step", "starlette", "/{form}/batches"),
    _Peer(PER_ROW, "starlette", "/{form}/async"),
    _Peer("Starlette, a row a step", "starlette", "/{form}/each"),
    _Peer("limit: bytes made before", "prepared", "/"),
)


def run(options: Options, say: Callable[[str], None]) -> Report:
    """Measure both formats. Raises `ValueError` when a peer's body is not the one that all must give."""
    count = QUICK_ROWS if options.quick else ROWS
    rounds = options.rounds or (3 if options.quick else 5)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as folder:
        for form in FORMATS:
            with _servers(form, count, Path(folder)) as servers:
                found[form] = _measured(form, count, servers, rounds, lambda text, form=form: say(f"{form}: {text}"))
    notes = ["Ratios are medians of the ratios of each round; (lower-upper quartile).", *_verdicts(found)]
    if go.version() is None:
        notes.append("Go was not measured: there is no `go` here; `make bench-peers` installs it.")
    return Report(
        name="rows",
        tables=[_table(form, count, rounds, found[form]) for form in FORMATS],
        notes=notes,
        data={"rows": count, "rounds": rounds, "go": go.version(), "formats": {f: _json(found[f]) for f in FORMATS}},
    )


@contextmanager
def _servers(form: str, count: int, folder: Path) -> Iterator[Mapping[str, Server]]:
    env = {"BENCH_ROWS": str(count), "BENCH_FORMAT": form}
    with ExitStack() as stack:
        commands = {name: uvicorn(f"benchmarks.peers.{name}_rows:app") for name in ("echostream", "starlette")}
        commands["prepared"] = uvicorn("benchmarks.peers.prepared_rows:app")
        if go.version() is not None:
            lines = folder / "orders.ndjson"
            write_json_lines(lines, count)
            commands["go"] = [str(go.build("rows", folder)), "{port}", str(lines)]
        yield {name: stack.enter_context(serving(name, command, folder, env)) for name, command in commands.items()}


def _measured(
    form: str, count: int, servers: Mapping[str, Server], rounds: int, say: Callable[[str], None]
) -> dict[str, dict[str, list[float]]]:
    peers = [peer for peer in _PEERS if peer.server in servers]
    check = _checked_csv(count) if form == "csv" else _checked_ndjson(count)
    sizes: dict[str, int] = {}
    for peer in peers:
        # It also warms the server up: what is measured is not its first request.
        say(f"checking the body of {peer.name}")
        sizes[peer.name] = check(peer.name, body(servers[peer.server].port, peer.path.format(form=form)))
    contestants = [
        Contestant(p.name, _measuring(servers[p.server], p.path.format(form=form), sizes[p.name])) for p in peers
    ]
    return contest(contestants, rounds=rounds, say=say)


def _measuring(server: Server, path: str, size: int) -> Callable[[], Measured]:
    def measure() -> Measured:
        before = server.cpu()
        reading = read(server.port, path)
        return {
            "seconds": reading.seconds,
            "cpu": server.cpu() - before,
            "first_byte": reading.first_byte,
            "client_cpu": reading.own_cpu,
            "bytes": size,
        }

    return measure


def _checked_csv(count: int) -> Callable[[str, bytes], int]:
    wanted = csv_body(count)

    def check(name: str, got: bytes) -> int:
        if got != wanted:
            at = next((at for at, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), len(wanted))
            raise ValueError(f"{name} differs at byte {at}: {got[at - 60 : at + 60]!r}")
        return len(got)

    return check


def _checked_ndjson(count: int) -> Callable[[str, bytes], int]:
    wanted = [dict(zip(COLUMNS, row, strict=True)) for row in orders(count)]

    def check(name: str, got: bytes) -> int:
        lines = got.splitlines()
        if len(lines) != count:
            raise ValueError(f"{name} gave {len(lines)} lines instead of {count}")
        for line, row in zip(lines, wanted, strict=True):
            if json.loads(line) != row:
                raise ValueError(f"{name} gave {line!r} for {row!r}")
        return len(got)

    return check


def _table(form: str, count: int, rounds: int, found: dict[str, dict[str, list[float]]]) -> Table:
    rows: list[list[str]] = []
    for name, figures in found.items():
        seconds = figures["seconds"]
        rows.append(
            [
                name,
                spread(summary(seconds), digits=3),
                spread(summary(figures["cpu"]), digits=3),
                spread(summary(figures["first_byte"]), scale=1000, digits=1),
                f"{summary(figures['bytes']).median / 1e6 / summary(seconds).median:.0f}",
                *(spread(ratios(figures[by], found[GO][by])) if GO in found else "-" for by in ("seconds", "cpu")),
                *(spread(ratios(found[PER_ROW][by], figures[by]), digits=1) for by in ("seconds", "cpu")),
            ]
        )
    return Table(
        title=f"{form}: {count:,} rows, medians of {rounds} rounds",
        headings=[
            *("", "seconds", "CPU s", "first byte ms", "MB/s"),
            *("x Go, s", "x Go, CPU", "per row x, s", "per row x, CPU"),
        ],
        rows=rows,
    )


def _verdicts(found: dict[str, dict[str, dict[str, list[float]]]]) -> list[str]:
    """Whether what people wait for reaches the goals, by format and source; the first byte against per row's."""
    said: list[str] = []
    for form, figures in found.items():
        for name in (name for name in figures if name.startswith("echostream")):
            mine = figures[name]["seconds"]
            faster = ratios(figures[PER_ROW]["seconds"], mine).median
            reached = [faster >= GOAL_PER_ROW]
            text = f"{form}, {name}: {faster:.1f} times faster than per row (goal {GOAL_PER_ROW})"
            if GO in figures:
                slower = ratios(mine, figures[GO]["seconds"]).median
                reached.append(slower <= GOAL_GO)
                text += f", {slower:.2f} of Go's seconds (goal {GOAL_GO})"
            first, theirs = (summary(figures[who]["first_byte"]).median * 1000 for who in (name, PER_ROW))
            said.append(f"{text}: {'reached' if all(reached) else 'missed'}; first byte {first - theirs:+.1f} ms.")
    return said


def _json(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    return {
        name: {
            **{figure: summary(values).as_json() for figure, values in figures.items()},
            **{
                f"{figure}_by_{word}": ratios(figures[figure], found[other][figure]).as_json()
                for figure in ("seconds", "cpu", "first_byte")
                for word, other in (("go", GO), ("per_row", PER_ROW))
                if other in found
            },
        }
        for name, figures in found.items()
    }

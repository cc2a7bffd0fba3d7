"""`python -m benchmarks [NAME ...]`: measure, print tables, write JSON to benchmarks/results/."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from types import ModuleType

from . import exports, rows
from .options import Options
from .report import machine, save, shown

__all__ = ["main"]

BENCHMARKS: dict[str, ModuleType] = {"rows": rows, "exports": exports}


def main(words: list[str] | None = None) -> int:
    """The exit code: 0 when all was measured."""
    arguments = _parser().parse_args(words)
    options = Options(quick=arguments.quick, rounds=arguments.rounds)
    where = machine()
    print(f"{where['system']}, Python {where['python']}, {where['cores']} cores, load {where['load']:.1f}", flush=True)
    for name in arguments.names or BENCHMARKS:
        report = BENCHMARKS[name].run(options, _teller(name))
        print(f"\n{shown(report)}", flush=True)
        _say(f"written to {save(report, where)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:10} {module.WHAT}" for name, module in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure side by side with peers, on loopback.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name, help="default: all of them")
    parser.add_argument("--quick", action="store_true", help="smaller, to see that it works; its figures say little")
    parser.add_argument("--rounds", type=_rounds, help="how many rounds the peers take turns in")
    return parser


def _name(text: str) -> str:
    if text not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"there is no {text!r}; there are {', '.join(BENCHMARKS)}")
    return text


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def _teller(name: str) -> Callable[[str], None]:
    started = time.monotonic()

    def tell(text: str) -> None:
        _say(f"{time.monotonic() - started:6.1f} s  {name}: {text}")

    return tell


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

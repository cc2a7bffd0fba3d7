"""The command `echostream`. Importing this imports nothing else: the commands load when they are asked for."""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until the command itself runs (see app.py): an interrupt within an import is a traceback at best,
        # and modules in C were seen to crash on it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("echostream"):
            raise
        sys.exit(f'echostream: {error.name} is missing; install the command with: pip install "echostream[hub]"')
    sys.exit(run())

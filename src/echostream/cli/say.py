"""What a command says: words on standard error, data on standard output, and nothing that drives the terminal.

Text that came over the network is somebody else's. Printed as it is, an escape sequence in an
event or an error could move the cursor, retitle the window or answer on the keyboard's behalf.
"""

from __future__ import annotations

import re
import sys

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_USAGE", "HINT", "say", "visible"]

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
"""128 and SIGINT, as shells count."""

HINT = "`echostream serve` starts a hub, --url names another"

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """`text` with control characters (but tab and line feed) and direction overrides written as escapes."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """One line on standard error."""
    print("echostream:", visible(text).replace("\n", " "), file=sys.stderr, flush=True)

"""What curl prints, and when."""

from __future__ import annotations

import os
import subprocess
import time

__all__ = ["arriving"]


def arriving(url: str) -> list[tuple[float, bytes]]:
    """The pieces that curl gives, as it gives them: (seconds since the first, bytes). Fails when curl does."""
    pieces: list[tuple[float, bytes]] = []
    with subprocess.Popen(["curl", "-sN", url], stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        while piece := os.read(curl.stdout.fileno(), 65536):
            pieces.append((time.monotonic(), piece))
        assert curl.wait(10) == 0
    return [(moment - pieces[0][0], piece) for moment, piece in pieces]

"""The command line as a process, as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

__all__ = ["command", "environment", "run_command"]


def command(*words: str) -> list[str]:
    """What to execute for `echostream ...`."""
    return [sys.executable, "-m", "echostream", *words]


def environment(url: str | None = None, **extra: str) -> dict[str, str]:
    """This process's environment without a developer's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ECHOSTREAM_")}
    if url is not None:
        kept["ECHOSTREAM_URL"] = url
    return kept | extra


def run_command(*words: str, url: str | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end. Standard input is empty unless `input` is given."""
    if "input" not in settings:
        settings.setdefault("stdin", subprocess.DEVNULL)
    settings.setdefault("encoding", "utf-8")
    return subprocess.run(
        command(*words), env=environment(url), capture_output=True, timeout=30, check=False, **settings
    )

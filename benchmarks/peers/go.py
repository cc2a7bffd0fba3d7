"""Go programs of this folder, built when they are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["build", "version"]

BUILD_WITHIN = 300


def version() -> str | None:
    """What `go version` says; None where there is no Go."""
    if shutil.which("go") is None:
        return None
    done = subprocess.run(["go", "version"], capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("go version ")


def build(name: str, folder: Path) -> Path:
    """The program of `name`.go, built into `folder` from the standard library alone; nothing is fetched.

    Raises `subprocess.CalledProcessError` when the compiler refuses it.
    """
    program = folder / name
    source = Path(__file__).resolve().parent / f"{name}.go"
    subprocess.run(
        ["go", "build", "-o", str(program), str(source)],
        env={**os.environ, "GO111MODULE": "off", "GOPROXY": "off", "GOTOOLCHAIN": "local"},
        check=True,
        timeout=BUILD_WITHIN,
    )
    return program

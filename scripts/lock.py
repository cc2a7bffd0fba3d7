"""Writes requirements/run.txt and requirements/dev.txt from pyproject.toml, with hashes and without hosts.

Options are passed on to `uv pip compile`, for example `--upgrade` or `--upgrade-package starlette`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

__all__: list[str] = []

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"run": ("hub", "client"), "dev": ("dev",)}
COMPILE = (
    *(sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet"),
    *("--universal", "--python-version", "3.11", "--generate-hashes", "--group", "build"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
)
# A lock says what, never from where: where is the choice of whoever installs.
PLACE = re.compile(r"^\s*(-i\b|-f\b|--(extra-)?index-url|--find-links|--trusted-host)|://")


def main(options: list[str]) -> None:
    for name, extras in EXTRAS.items():
        lock = ROOT / "requirements" / f"{name}.txt"
        chosen = [word for extra in extras for word in ("--extra", extra)]
        # The run lock constrains the dev lock: `make run` and `make test` must have the same versions.
        same = ["--constraints", "requirements/run.txt"] if name == "dev" else []
        subprocess.run([*COMPILE, *options, *chosen, *same, "--output-file", str(lock)], cwd=ROOT, check=True)
        kept = [line for line in lock.read_text().splitlines() if line.strip() and not PLACE.search(line)]
        head = f"# Written by `make lock` from pyproject.toml (extras {', '.join(extras)}; group build). Do not edit."
        packages = [line for line in kept if not line.startswith("#")]
        lock.write_text("\n".join([head, *packages]) + "\n")
        print(f"{lock.relative_to(ROOT)}: {sum('==' in line for line in packages)} packages")


if __name__ == "__main__":
    main(sys.argv[1:])

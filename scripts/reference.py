"""Writes the parts of docs/reference that follow from the code: settings, `--help` texts, the gallery's files.

`python scripts/reference.py` writes; a test compares, so a page cannot fall behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["PAGES", "rendered"]

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("", "serve", "publish", "subscribe")


def settings_table() -> str:
    from echostream.server.config import describe_settings

    lines = ["| name | environment | kind | default | |", "|---|---|---|---|---|"]
    for row in describe_settings():
        default = f"`{row.default}`" if row.default else ""
        about = row.about.replace("|", "\\|")
        lines.append(f"| `{row.name}` | `{row.env}` | {row.kind} | {default} | {about} |")
    return "\n".join(lines)


def help_texts() -> str:
    # A plain terminal of a fixed width: the page must not depend on who writes it.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ECHOSTREAM_", "CI", "GITHUB_"))}
    plain = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "TERM": "dumb", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    parts: list[str] = []
    for command in COMMANDS:
        words = ["echostream", *([command] if command else []), "--help"]
        done = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, check=True, env={**kept, **plain}, text=True
        )
        text = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
        parts.append(f"## {' '.join(words[:-1])}\n\n```text\n{text.strip()}\n```")
    return "\n\n".join(parts)


def gallery_files() -> str:
    from echostream.gallery import EXAMPLES
    from echostream.gallery.library import __file__ as library

    files = [*(Path(str(example.__file__)) for example in EXAMPLES), Path(library)]
    parts = [f"## {file.stem}\n\n```python\n# {file.name}\n{file.read_text()}```" for file in files]
    return "\n\n".join(parts)


# For each page the word of its markers, and what stands between them.
PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("settings", settings_table),
    "command-line": ("help", help_texts),
    "gallery": ("gallery", gallery_files),
}
PAGES = tuple(PARTS)


def rendered(page: str) -> str:
    """What the page should be now."""
    word, make = PARTS[page]
    text = make()
    present = path_of(page).read_text()
    pattern = rf"(<!-- {word}: begin.*?-->\n).*?(<!-- {word}: end -->)"
    return re.sub(pattern, lambda found: f"{found[1]}\n{text}\n\n{found[2]}", present, flags=re.DOTALL)


def path_of(page: str) -> Path:
    return ROOT / "docs" / "reference" / f"{page}.md"


if __name__ == "__main__":
    for page in PAGES:
        path_of(page).write_text(rendered(page))
        print(path_of(page).relative_to(ROOT))

"""What the pages print: their Python as files, their commands with the answers below them."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

__all__ = ["ROOT", "Command", "application", "commands", "load", "named"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"# (\w+\.py)\n")


class Command(NamedTuple):
    """A line after `$`, and what the page prints below it."""

    text: str
    answer: str


def application(page: str) -> str:
    """The page's `main.py`: all its Python, but for the parts that name a file of their own."""
    return "\n\n".join(text for text in PYTHON.findall((ROOT / page).read_text()) if not NAME.match(text))


def named(page: str, name: str) -> str:
    """The Python that begins with `# name`."""
    [text] = [text for text in PYTHON.findall((ROOT / page).read_text()) if text.startswith(f"# {name}\n")]
    return text


def commands(page: str) -> list[Command]:
    """Every command of the page's console blocks, in order."""
    blocks = "".join(CONSOLE.findall((ROOT / page).read_text()))
    return [Command(*part.partition("\n")[::2]) for part in blocks.split("$ ")[1:]]


def load(text: str, folder: Path, name: str = "main", *, changed: Mapping[str, str] | None = None) -> ModuleType:
    """`text` as a module, from a file in `folder`."""
    for printed, here in (changed or {}).items():
        assert printed in text
        text = text.replace(printed, here)
    file = folder / f"{name}.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(f"{folder.name}_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

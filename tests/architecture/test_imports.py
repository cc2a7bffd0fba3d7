"""Imports run downward only. Made-up bad trees prove that the test can fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "echostream"

# From the ground up. A room may import rooms of the floors below it, and itself; never a room beside or above it.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"exceptions"}),
    frozenset({"event", "position", "topic"}),
    frozenset({"wire", "log"}),
    frozenset({"stream", "client", "testing"}),
    frozenset({"hub"}),
    frozenset({"asgi"}),
    frozenset({"integrations", "server"}),
    frozenset({"gallery"}),
    frozenset({"cli"}),
)
# The package's face and `python -m` may import everything.
ROOF = frozenset({"__init__", "__main__"})
# The examples are there to be copied, so they import what people import.
USES_FACE = frozenset({"gallery"})
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(file: Path, source: Path) -> str:
    first = file.relative_to(source).parts[0]
    return first.removesuffix(".py")


def imported_modules(file: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Each import of our own package in `file`: (line, dotted path below the package). Lazy ones too."""
    package = ["echostream", *file.relative_to(source).parent.parts]
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            # `from .. import wire` names the room after `import`
            names = [".".join([*module, alias.name]) for alias in node.names]
        else:
            continue
        for name in names:
            if name == "echostream" or name.startswith("echostream."):
                yield node.lineno, name.removeprefix("echostream").removeprefix(".")


def arrows_upward(source: Path) -> list[str]:
    """Every import that breaks the order, as text that says what to do."""
    wrong: list[str] = []
    for file in sorted(source.rglob("*.py")):
        room = room_of(file, source)
        if room in ROOF:
            continue
        where = file.relative_to(source)
        if room not in FLOOR_OF:
            wrong.append(f"{where}: the room {room!r} has no floor; give it one in tests/architecture")
            continue
        for line, name in imported_modules(file, source):
            target = name.split(".")[0]
            if target == room:
                continue
            if target not in FLOOR_OF:
                if room in USES_FACE:
                    continue
                wrong.append(f"{where}:{line}: imports the package's face ({name or 'echostream'}); import the room")
            elif FLOOR_OF[target] >= FLOOR_OF[room]:
                wrong.append(f"{where}:{line}: {room} may not import {target}, which is not below it")
    return wrong


def test_imports_run_downward() -> None:
    assert arrows_upward(SOURCE) == []


def test_something_was_read() -> None:
    seen = {name.split(".")[0] for file in SOURCE.rglob("*.py") for _, name in imported_modules(file, SOURCE)}
    assert {"exceptions", "event", "topic"} <= seen


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("event.py", "from .hub import Hub"),
        ("event.py", "import echostream.hub.hub"),
        ("event.py", "from echostream import hub"),
        ("event.py", "from echostream import Hub"),
        ("event.py", "import echostream"),
        ("event.py", "from .topic import Topic"),
        ("wire/sse.py", "from ..log.base import Log"),
        ("wire/sse.py", "from .. import log"),
        ("wire/deep/er.py", "from ...log import base"),
        ("log/base.py", "def late():\n    from ..hub import Hub"),
        ("log/base.py", "import typing\nif typing.TYPE_CHECKING:\n    from ..hub import Hub"),
        ("asgi/topics.py", "from ..server.app import app"),
        ("gallery/text.py", "from echostream.cli import main"),
        ("attic/box.py", "import json"),
    ],
)
def test_a_bad_tree_fails(tmp_path: Path, file: str, text: str) -> None:
    bad = tmp_path / file
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_text(text)
    assert len(arrows_upward(tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("wire/sse.py", "from .base import Encoder\nfrom ..event import Event\nfrom ..exceptions import DecodeError"),
        ("wire/sse.py", "import echostream.event\nfrom echostream import topic\nimport json"),
        ("cli/__init__.py", "from .serve import serve\nfrom ..server import run"),
        ("gallery/text.py", "from echostream import Event\nfrom echostream.integrations.starlette import CSVResponse"),
        ("__main__.py", "from .cli import main"),
        ("hub/hub.py", "from . import ring\nimport echostreamer"),
    ],
)
def test_a_good_tree_passes(tmp_path: Path, file: str, text: str) -> None:
    good = tmp_path / file
    good.parent.mkdir(parents=True, exist_ok=True)
    good.write_text(text)
    assert arrows_upward(tmp_path) == []

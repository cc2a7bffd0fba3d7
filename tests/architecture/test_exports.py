"""What is public is written down: `__all__` in every module, every name real, a package's face made of its modules'."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "echostream"
FILES = sorted(SOURCE.rglob("*.py"))


def dotted(file: Path) -> str:
    parts = ["echostream", *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def load(file: Path) -> ModuleType:
    return importlib.import_module(dotted(file))


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_every_module_says_what_is_public(file: Path) -> None:
    module = load(file)
    names = getattr(module, "__all__", None)
    assert names is not None, f"{file.name} has no __all__"
    assert sorted(set(names)) == sorted(names), "a name stands twice"
    assert [name for name in names if not hasattr(module, name)] == []
    assert [name for name in names if name.startswith("_") and name != "__version__"] == [], "private names are private"


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_every_public_definition_is_exported_or_private(file: Path) -> None:
    """A function or class without an underscore that `__all__` leaves out is neither public nor private."""
    tree = ast.parse(file.read_text())
    defined = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    exported = set(getattr(load(file), "__all__", ()))
    assert [name for name in defined if not name.startswith("_") and name not in exported] == []


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py"], ids=dotted)
def test_a_face_only_shows_what_its_modules_show(file: Path) -> None:
    """Each name of a package's `__all__` that comes from our code is public where it is defined."""
    module = load(file)
    for name in module.__all__:
        thing = getattr(module, name)
        home = getattr(thing, "__module__", None)
        if isinstance(home, str) and home.startswith("echostream."):
            # A face may give a thing another name than its home does.
            public = importlib.import_module(home).__all__
            assert name in public or getattr(thing, "__name__", None) in public, f"{name} is not in {home}.__all__"


def test_every_error_can_be_caught_from_the_top() -> None:
    import echostream
    from echostream import exceptions

    assert set(exceptions.__all__) <= set(echostream.__all__)

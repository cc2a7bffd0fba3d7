"""What src imports is declared, in the extra of its room, and what is declared is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "echostream"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Not imported by name: uvicorn picks them up when they are installed.
PICKED_UP = {"httptools", "uvloop"}
# What a room needs besides the core. Rooms that are not named must do with the core alone.
EXTRA_OF = {"server": "hub", "cli": "hub", "client": "client", "gallery": "hub"}
# Files with a backend of their own, which the core imports only when it is asked for.
EXTRA_OF_FILE = {"log/sqlite": "hub", "log/redis": "redis", "log/nats": "nats"}
# Files for people who have that framework: it brings itself, and what its routes are described with.
FRAMEWORK_OF = {
    "asgi/uvicorn": {"uvicorn"},
    "integrations/item_schema": {"pydantic"},
    "integrations/starlette": {"starlette"},
}
# Taken where the declared one is not installed.
INSTEAD_OF = {"httpx": "httpx2"}
# Announced, so that installing them does not change with a later version: their rooms come later.
LATER = {"redis", "nats"}


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", text) for text in requirements)
    return {match[0].lower().replace("_", "-") for match in found if match}


def imported(file: Path) -> set[str]:
    """The distributions that a file imports, the standard library and our own left out."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules.add(node.module.split(".")[0])
    foreign = modules - set(sys.stdlib_module_names) - {"echostream"}
    known = packages_distributions()
    found = (known[module][0].lower().replace("_", "-") if module in known else module for module in foreign)
    return {INSTEAD_OF.get(name, name) for name in found}


def allowed(file: Path) -> set[str]:
    where = str(file.relative_to(SOURCE).with_suffix(""))
    extras = {EXTRA_OF.get(where.split("/", maxsplit=1)[0])} | {
        e for start, e in EXTRA_OF_FILE.items() if where.startswith(start)
    }
    optional: dict[str, list[str]] = PROJECT["optional-dependencies"]
    declared = names([*PROJECT["dependencies"], *(r for extra in extras if extra for r in optional[extra])])
    return declared | FRAMEWORK_OF.get(where, set())


def test_what_is_imported_is_declared() -> None:
    missing = {str(f.relative_to(SOURCE)): extra for f in SOURCE.rglob("*.py") if (extra := imported(f) - allowed(f))}
    assert missing == {}


def test_what_is_declared_is_used() -> None:
    optional: dict[str, list[str]] = PROJECT["optional-dependencies"]
    declared = names(PROJECT["dependencies"])
    for extra, requirements in optional.items():
        if extra != "dev" and extra not in LATER:
            declared |= names(requirements)
    used = set[str]().union(*(imported(f) for f in SOURCE.rglob("*.py")))
    assert declared - used - PICKED_UP == set()


def test_what_the_tests_import_is_in_the_lock() -> None:
    """In an environment that has grown by hand a missing one is not noticed; in a fresh clone it is."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements" / "dev.txt").read_text(), re.MULTILINE)
    used = set[str]().union(*(imported(file) for file in (ROOT / "tests").rglob("*.py")))
    assert used - {"support", "benchmarks"} - {name.lower() for name in pins} == set()

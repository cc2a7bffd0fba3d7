"""A file is one noun and a function is short: past these numbers, split."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "echostream"
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


def long_files(folder: Path) -> list[str]:
    return [
        f"{file.relative_to(folder)}: {lines} lines"
        for suffix in ("py", "js", "css")
        for file in sorted(folder.rglob(f"*.{suffix}"))
        if "vendor" not in file.parts and (lines := len(file.read_text().splitlines())) > MAX_FILE_LINES
    ]


def long_functions(folder: Path) -> list[str]:
    found: list[str] = []
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    found.append(f"{file.relative_to(folder)}:{node.lineno}: {node.name} has {lines} lines")
    return found


def test_files_are_short() -> None:
    assert long_files(SOURCE) == []


def test_functions_are_short() -> None:
    assert long_functions(SOURCE) == []


def test_long_ones_are_found(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("async def story() -> None:\n" + "    pass\n" * MAX_FILE_LINES)
    assert long_files(tmp_path) == ["long.py: 401 lines"]
    assert long_functions(tmp_path) == ["long.py:1: story has 401 lines"]
    (tmp_path / "long.py").write_text("async def story() -> None:\n" + "    pass\n" * (MAX_FUNCTION_LINES - 1))
    assert long_files(tmp_path) == long_functions(tmp_path) == []


def test_every_package_has_a_docstring() -> None:
    without = [f for f in SOURCE.rglob("*.py") if not ast.get_docstring(ast.parse(f.read_text()))]
    assert [str(f.relative_to(SOURCE)) for f in without] == []


def test_tests_have_no_init_files_but_their_helpers() -> None:
    """importmode=importlib wants none; two test files may then have one name."""
    tests = ROOT / "tests"
    assert [str(f.relative_to(tests)) for f in tests.rglob("__init__.py")] == ["support/__init__.py"]

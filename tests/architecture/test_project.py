"""What is around the code: the wheel holds every file, and `make` says clearly what it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "echostream"
TEXTS = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".sh", ".js", ".css", ".html", ".svg", ""}


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    """Also those that a browser gets: they are no Python, and a build leaves such files out easily."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("echostream/")}
    files = (path.relative_to(SOURCE.parent) for path in SOURCE.rglob("*") if path.is_file())
    wanted = {path.as_posix() for path in files if "__pycache__" not in path.parts}
    assert packed == wanted
    assert "echostream/py.typed" in packed


def make(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # The tests may run under make themselves: its own variables must not reach this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with what `make run` reads first, and no Python new enough."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo Python 3.9.2; else exit 1; fi\n')
    old.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("target", ["run", "test"])
def test_an_old_python_is_told(tree: Path, target: str) -> None:
    done = make(target, f"PYTHON={tree / 'python3.9'}", cwd=tree)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (tree / ".venv").exists()


def test_make_lists_its_targets() -> None:
    shown = make().stdout
    for target in ("run", "test", "lint", "bench", "soak", "clean"):
        assert f"make {target} " in shown


def test_make_passes_options_on() -> None:
    shown = make("--dry-run", "run", "ARGS=--port 9000").stdout
    assert re.search(r"echostream serve .* --port 9000$", shown, re.MULTILINE)


def test_nothing_names_where_it_was_made() -> None:
    """No path of a machine, no registry: the tree works wherever it is copied to."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout of git here: the files that would be published are not known")
    named = re.compile(r"/(?:home|Users)/\w+/|" + re.escape(str(ROOT) + "/") + r"|pypi\.org|index-url\s*=")
    found = [
        name
        for name in listed.stdout.split("\0")
        if name and Path(name).suffix in TEXTS and (ROOT / name).is_file() and named.search((ROOT / name).read_text())
    ]
    assert [name for name in found if name != "tests/architecture/test_project.py"] == []

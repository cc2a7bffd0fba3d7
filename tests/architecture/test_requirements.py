"""The locks: every package at one version with hashes, no word about where it is fetched from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")


def pins(lock: Path) -> dict[str, str]:
    found = (PIN.match(line) for line in lock.read_text().splitlines())
    return {match[1].lower(): match[2] for match in found if match}


def entries(text: str) -> list[str]:
    """The lock as logical lines: a pin and its hashes together."""
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def problems(text: str) -> list[str]:
    wrong = [f"names a place: {word}" for word in re.findall(r"\S*(?:://|--index|--extra-index|--find-links)\S*", text)]
    for entry in entries(text):
        if not PIN.match(entry):
            wrong.append(f"not a pin: {entry[:60]}")
        elif not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry):
            wrong.append(f"without a hash: {entry[:60]}")
    return wrong


def test_both_locks_are_there() -> None:
    assert [lock.name for lock in LOCKS] == ["dev.txt", "run.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    assert problems(lock.read_text()) == []
    assert pins(lock)


def test_problems_are_seen() -> None:
    good = f"a==1 \\\n    --hash=sha256:{'0' * 64}\n"
    assert problems(good) == []
    assert problems(good + "b==2\n") == ["without a hash: b==2"]
    assert problems(good + "b>=2\n") == ["not a pin: b>=2"]
    assert problems("--find-links x\n" + good)
    assert problems(f"a @ ftp://somewhere/a.whl --hash=sha256:{'0' * 64}\n")


def test_the_dev_lock_holds_the_run_lock() -> None:
    """`make run` takes an environment that `make test` made as it is."""
    run, dev = pins(ROOT / "requirements" / "run.txt"), pins(ROOT / "requirements" / "dev.txt")
    assert run.items() <= dev.items()


def test_the_locks_cover_the_project() -> None:
    """A dependency added to pyproject.toml without `make lock` is found here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    build = project["dependency-groups"]["build"]

    def names(requirements: list[str]) -> set[str]:
        found = (re.match(r"[A-Za-z0-9._-]+", text) for text in requirements)
        return {match[0].lower() for match in found if match} - {"echostream"}

    run = names([*project["project"]["dependencies"], *extras["hub"], *extras["client"], *build])
    dev = run | names(extras["dev"])
    assert run - pins(ROOT / "requirements" / "run.txt").keys() == set()
    assert dev - pins(ROOT / "requirements" / "dev.txt").keys() == set()
    assert names(project["build-system"]["requires"]) <= names(build)

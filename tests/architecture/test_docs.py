"""What the pages say is so: links resolve, tables and help texts follow the code, error codes are the code's."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from echostream import exceptions

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# Words that mean something else here than in the field's other projects, or nothing.
NOT_USED = re.compile(r"\b(channels?|sessions?|backlogs?|history)\b", re.IGNORECASE)


def page_name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken: list[str] = []
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


def test_broken_links_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`\n[a](#one-two) [b](#three) [c](gone.md) [d](page.md#one-two)\n```\n[e](x.md)\n```\n")
    assert broken_links(page) == ["#three", "gone.md"]


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_one_meaning_a_word(page: Path) -> None:
    assert NOT_USED.findall(page.read_text()) == []


def test_every_page_can_be_reached() -> None:
    """From the README, by links alone."""
    reached, todo = set[Path](), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in reached:
            continue
        reached.add(page)
        targets = (link.partition("#")[0] for link in LINK.findall(page.read_text()) if not re.match(r"[a-z]+:", link))
        todo += [path for t in targets if t.endswith(".md") and (path := (page.parent / t).resolve()).exists()]
    assert [page_name(page) for page in PAGES if page not in reached and page.name != "README.md"] == []


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["settings", "command-line", "gallery"])
def test_reference_follows_the_code(page: str) -> None:
    written = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    assert written == reference().rendered(page), "run: make reference"


# Codes that reach no client: told at start, inside a program, or made by a client itself.
INSIDE = {"invalid-setting", "invalid-position", "decode-error", "position-gone", "epoch-changed", "aborted"} | {
    *("log-in-use", "log-foreign", "unacknowledged", "error")
}


def raised_codes() -> set[str]:
    """Each code that an answer can have: of the error classes, and those written beside a status in the server."""
    classes = {getattr(exceptions, name) for name in exceptions.__all__}
    codes = {cls.code for cls in classes if not cls.__subclasses__() or cls.code in ("invalid-input", "log-error")}
    for file in (ROOT / "src" / "echostream").rglob("*.py"):
        if file.parts[-2] in ("server", "asgi"):
            text = file.read_text()
            codes |= set(re.findall(r"\b[45]\d\d,\s*f?\"([a-z0-9-]+)\"", text))
            codes |= set(re.findall(r"^    code = \"([a-z0-9-]+)\"", text, re.MULTILINE))
    return codes - INSIDE


def test_every_error_code_is_documented() -> None:
    pages = [(ROOT / "docs" / "reference" / name).read_text() for name in ("http.md", "responses.md")]
    table = "".join(page[page.index("## Errors") :] for page in pages)
    assert sorted(code for code in raised_codes() if f"`{code}`" not in table) == []

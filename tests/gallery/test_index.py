"""All examples as one application, and the page that lists them."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from echostream import gallery
from echostream.gallery import EXAMPLES, app
from echostream.gallery.index import paths_of
from echostream.testing import drive

FOLDER = Path(gallery.__file__).parent
NAMES = {example.__name__.rpartition(".")[2]: example for example in EXAMPLES}
PATHS = [(example, path) for example in EXAMPLES for path in paths_of(example)]


class Page(HTMLParser):
    """What the page shows: links, and the text of each `pre`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self._in_source = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag == "pre":
            self._in_source = True
            self.sources.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._in_source = False

    def handle_data(self, data: str) -> None:
        if self._in_source:
            self.sources[-1] += data


async def page(path: str = "/", at: Starlette = app) -> Page:
    async with drive(at, "GET", path) as response:
        status, headers = await response.head()
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert headers["content-security-policy"].startswith("default-src 'none'")
        return Page((await response.read()).decode())


def test_every_file_is_an_example_or_helps_them():
    files = {file.stem for file in FOLDER.glob("*.py")}
    assert files - {"__init__", "index", "library"} == NAMES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_short_and_says_how_to_try_it(name: str):
    text = (FOLDER / f"{name}.py").read_text()
    assert 15 <= len(text.splitlines()) <= 65
    assert f"uvicorn echostream.gallery.{name}:app" in text
    assert paths_of(NAMES[name])
    assert all(path.split("/")[1].split("?")[0] == name for path in paths_of(NAMES[name]))


async def test_the_page_shows_every_example_with_its_source():
    shown = await page()
    assert shown.sources == [(FOLDER / f"{name}.py").read_text() for name in NAMES]
    assert all(escape(source) in shown.text for source in shown.sources)
    assert shown.links == [path for _, path in PATHS]
    assert not shown.tags & {"script", "img", "link", "iframe"}


async def test_links_lead_there_where_the_gallery_is_mounted():
    inside = Starlette(routes=[Mount("/gallery", app)])
    shown = await page("/gallery/", inside)
    assert shown.links == [f"/gallery{path}" for _, path in PATHS]
    async with drive(inside, "GET", "/gallery/chunked_text") as response:
        assert await response.read_until(b"\n")


@pytest.mark.usefixtures("made_library")
@pytest.mark.parametrize(("example", "path"), PATHS, ids=[path for _, path in PATHS])
async def test_each_command_is_answered_alike_by_all_and_by_one(example: ModuleType, path: str):
    """With what the docstring says of the status, where it says something."""
    line = next(line for line in (example.__doc__ or "").splitlines() if path in line)
    told = next((status for status in (400, 404, 500) if str(status) in line.partition("#")[2]), 200)
    for each in (app, example.app):
        async with drive(each, "GET", path, within=30) as response:
            assert (await response.head()).status == told, urlsplit(path)
            if told == 500:
                await response.ended()
                assert response.exception

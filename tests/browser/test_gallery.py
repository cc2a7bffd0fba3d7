"""The gallery's page and what it links to, and the scripts that the how-to pages print, in a real browser."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from echostream.gallery import EXAMPLES
from support.browser import opened
from support.pages import ROOT, application
from support.servers import ServerProcess, free_port, running_asgi, wait_until

BEGIN = "docs/how-to/stream-a-response.md"
EVENTS = "docs/how-to/server-sent-events.md"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_asgi("uvicorn", "echostream.gallery:app", folder=tmp_path_factory.mktemp("gallery")) as server:
        yield server


def test_the_page_lists_every_example(gallery: ServerProcess, page: Page):
    page.goto(gallery.url)
    names = [example.__name__.rpartition(".")[2] for example in EXAMPLES]
    expect(page.get_by_role("heading", level=2)).to_have_text(names)
    page.get_by_role("link", name="/failing/csv/after").wait_for()
    page.get_by_role("link", name="/chunked_text").click()
    expect(page.locator("body")).to_contain_text("1 of 4")
    expect(page.locator("body")).to_contain_text("4 of 4")


def test_a_source_is_shown_when_it_is_asked_for(gallery: ServerProcess, page: Page):
    page.goto(gallery.url)
    source = page.get_by_text("async def lines()")
    expect(source).to_be_hidden()
    page.get_by_text("chunked_text.py", exact=True).click()
    expect(source).to_be_visible()


def test_a_phone_shows_the_page_in_its_width(gallery: ServerProcess, browser: Browser):
    with opened(browser, viewport={"width": 360, "height": 640}, is_mobile=True) as phone:
        phone.goto(gallery.url)
        for source in phone.locator("summary").all():
            source.click()
        assert phone.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [360, 360]


def test_the_picture_is_shown(gallery: ServerProcess, page: Page):
    page.goto(f"{gallery.url}/picture")
    page.wait_for_function("document.images[0]?.complete")
    assert page.evaluate("[document.images[0].naturalWidth, document.images[0].naturalHeight]") == [384, 256]


def printed_script(page: str) -> str:
    [script] = re.findall(r"^```javascript\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    return script


def test_the_printed_script_reads_lines(page: Page, tmp_path: Path):
    (tmp_path / "main.py").write_text(application(BEGIN))
    (tmp_path / "files").mkdir()
    for name in "abc":
        (tmp_path / "files" / name).write_text(name)
    read = f"window.told = []; (async () => {{ {printed_script(BEGIN)} }})()"
    with running_asgi("uvicorn", "main:app", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as server:
        page.goto(f"{server.url}/openapi.json")
        page.evaluate(read.replace("console.log(", "window.told.push("))
        assert page.evaluate("told.map((line) => [line.done, line.file])") == [[1, "a"], [2, "b"], [3, "c"]]
        (tmp_path / "files" / "b").unlink()
        (tmp_path / "files" / "b").mkdir()  # which cannot be read: the body is cut
        assert page.evaluate(f"{read}.then(() => 'whole', (error) => error.name)") == "TypeError"


def test_the_printed_script_follows_the_printed_route(page: Page, tmp_path: Path):
    script = printed_script(EVENTS)
    said: list[str] = []
    page.on("console", lambda entry: said.append(entry.text))
    with socket.create_server(("127.0.0.1", 0)) as service:
        ports = {"5432": str(service.getsockname()[1]), "6379": str(free_port())}
        text = application(EVENTS)
        for printed, here in ports.items():
            text = text.replace(printed, here)
        (tmp_path / "main.py").write_text(text)
        with running_asgi("uvicorn", "main:app", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as server:
            page.goto(f"{server.url}/docs-that-are-not-there")
            with page.expect_console_message(lambda entry: entry.text == "failed: cache"):
                page.evaluate(f"{script}; window.source = source;")
            # It comes back once, and is told that there is nothing to come back for.
            page.wait_for_function("window.source.readyState === EventSource.CLOSED", timeout=15_000)
            wait_until(lambda: "204" in server.output, within=5, what="the answer to its return")
    assert [text for text in said if text.startswith(("works", "failed"))] == ["works: database", "failed: cache"]

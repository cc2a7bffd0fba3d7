"""The commands on the pages about responses of their own, run as printed; the answers are those that are printed.

The port is the test's, and so are the files that the pages speak of.
"""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from support.pages import application, commands
from support.servers import LENDING, ServerProcess, free_port, running_asgi

DOCS = Path(__file__).resolve().parents[2] / "docs"
SERVE_PAGE, SERVE_GALLERY = "uvicorn main:app", "uvicorn echostream.gallery:app"


@contextmanager
def serving(page: str, folder: Path, app: str = "main:app") -> Iterator[ServerProcess]:
    """What a page's `uvicorn` command does."""
    with running_asgi("uvicorn", app, folder=folder, env={"PYTHONPATH": str(folder)}) as server:
        yield server


def run(command: str, server: ServerProcess) -> str:
    """What a terminal shows, errors last: into a pipe curl writes them first."""
    # A terminal shows no progress of a download into it; a pipe does.
    (server.folder / ".curlrc").write_text("no-progress-meter\n")
    done = subprocess.run(
        ["bash", "-c", command.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")],
        capture_output=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CURL_HOME": str(server.folder)},
        timeout=20,
        check=False,
    )
    return (done.stdout + done.stderr).decode().replace("\r\n", "\n")


def check(page: str, server: ServerProcess) -> int:
    """Run every command that has a printed answer; how many."""
    checked = 0
    for command, answer in commands(page):
        if answer:
            shown = run(command, server)
            assert as_printed(shown) == as_printed(answer), command
            checked += 1
    return checked


def as_printed(text: str) -> str:
    # How much was done when curl was seen to leave is chance; an id is another each time.
    text = re.sub(r'"numbers":\d+', '"numbers":N', text)
    text = re.sub(r"id: [\w-]{22}\.end", "id: I.end", text)
    # Not every answer ends in a line end, and the next prompt would stand behind it.
    return re.sub(r"\n*(curl: )", r"\n\1", text.rstrip("\n"))


def test_exports(tmp_path: Path):
    page = "docs/how-to/export-rows.md"
    (tmp_path / "main.py").write_text(application(page))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        database.executescript(Path(__file__).with_name("shop.sql").read_text())
    with serving(page, tmp_path) as server:
        assert check(page, server) == 4


def test_failures(tmp_path: Path):
    page = "docs/how-to/when-a-stream-fails.md"
    (tmp_path / "main.py").write_text(application(page))
    (tmp_path / "a.txt").write_text("one")
    with serving(page, tmp_path) as server:
        assert check(page, server) == 4


def test_leaving(tmp_path: Path):
    page = "docs/how-to/when-the-reader-leaves.md"
    (tmp_path / "main.py").write_text(application(page))
    with serving(page, tmp_path) as server:
        assert check(page, server) == 2


def test_a_clock(tmp_path: Path):
    page = "docs/how-to/stream-a-response.md"
    (tmp_path / "main.py").write_text(application(page))
    [clock] = [command.text for command in commands(page) if "curl" in command.text]
    with serving(page, tmp_path) as server:
        assert re.fullmatch(r"(\d\d:\d\d:\d\d\n){4}", run(clock, server))


def test_events(tmp_path: Path):
    """One service answers, one refuses."""
    page = "docs/how-to/server-sent-events.md"
    [curl] = [command.text for command in commands(page) if "curl" in command.text]
    [printed] = re.findall(r"^```text\n(.*?)^```", (DOCS.parent / page).read_text(), re.DOTALL | re.MULTILINE)
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        text = application(page).replace("5432", str(port)).replace("6379", str(free_port()))
        (tmp_path / "main.py").write_text(text)
        with serving(page, tmp_path) as server:
            assert as_printed(run(curl, server)) == as_printed(printed)


@pytest.mark.parametrize("page", ["docs/how-to/when-a-stream-fails.md", "docs/how-to/stream-a-response.md"])
def test_the_gallery_is_served_as_the_pages_say(page: str, tmp_path: Path):
    assert SERVE_GALLERY in [command.text for command in commands(page)]
    with serving(page, tmp_path, "echostream.gallery:app") as server:
        assert "Streaming responses that run" in run("curl http://127.0.0.1:8000/", server)
        for command in commands(page):
            if "/failing/" in command.text:
                assert "curl: (18)" in run(command.text, server)


def test_every_page_serves_by_the_command_that_is_tested():
    pages = [page for page in DOCS.rglob("*.md") if "uvicorn " in page.read_text()]
    served = {command.text for page in pages for command in commands(str(page)) if command.text.startswith("uvicorn")}
    lending = " ".join(("uvicorn app:app", *LENDING["uvicorn, lending"][-2:]))  # tests/asgi runs it
    assert served == {SERVE_PAGE, SERVE_GALLERY, lending}
    assert Path(sys.executable).with_name("uvicorn").exists()

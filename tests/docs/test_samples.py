"""The Python of the README and the how-to pages runs as printed."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from echostream.hub import Hub
from echostream.testing import drive, virtual_time
from support.pages import load
from support.servers import running_asgi

ROOT = Path(__file__).resolve().parents[2]


def samples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def sample_with(page: str, text: str) -> str:
    found = [sample for sample in samples(page) if text in sample]
    assert len(found) == 1, f"{page} has {len(found)} samples with {text!r}"
    return found[0]


def get(url: str, data: bytes | None = None) -> str:
    text: str = urllib.request.urlopen(url, data=data, timeout=10).read().decode()
    return text


PAGES = [str(page.relative_to(ROOT)) for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]


@pytest.mark.parametrize("page", [page for page in PAGES if samples(page)])
def test_samples_are_python(page: str) -> None:
    for sample in samples(page):
        compile(sample, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# The README shows publishing apart from the application; here the two are one file.
PAY = """
from starlette.responses import JSONResponse

async def pay(request):
    return JSONResponse((await hub.publish("orders/42", {"state": "paid"})).ids)

app.router.routes.append(Route("/pay", pay, methods=["POST"]))
"""


def test_the_readme_application_streams(tmp_path: Path) -> None:
    (tmp_path / "readme_app.py").write_text(sample_with("README.md", "app = Starlette(") + PAY)
    with running_asgi("uvicorn", "readme_app:app", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as server:
        [published] = json.loads(get(f"{server.url}/pay", b""))
        [envelope] = json.loads(get(f"{server.url}/orders?format=json"))
        assert (envelope["id"], envelope["data"]) == (published, {"state": "paid"})
    assert (tmp_path / "events.db").exists()


def test_the_application_of_the_how_to_streams(tmp_path: Path) -> None:
    (tmp_path / "how_to_app.py").write_text(sample_with("docs/how-to/inside-your-application.md", "async def follow"))
    with running_asgi("uvicorn", "how_to_app:app", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as server:
        published = json.loads(get(f"{server.url}/orders/42/pay", b""))
        stream = get(f"{server.url}/orders/42/events?live=false")
        assert f'event: paid\nid: {published["id"]}\ndata: {{"state":"paid"}}\n\n' in stream


def test_the_application_of_the_how_to_streams_with_fastapi(tmp_path: Path) -> None:
    (tmp_path / "fastapi_app.py").write_text(sample_with("docs/how-to/inside-your-application.md", "app = FastAPI("))
    with running_asgi("uvicorn", "fastapi_app:app", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)}) as server:
        published = json.loads(get(f"{server.url}/orders/42/pay", b""))
        stream = get(f"{server.url}/orders/42/events?live=false")
        assert f'event: paid\nid: {published["id"]}\ndata: {{"state":"paid"}}\n\n' in stream


def test_the_readme_responses_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect("shop.db")) as database, database:
        database.executescript((ROOT / "tests" / "docs" / "shop.sql").read_text())
    app = load(sample_with("README.md", "app = FastAPI("), tmp_path).app

    @virtual_time
    async def read() -> None:
        loop = asyncio.get_running_loop()
        async with drive(app, "GET", "/orders.csv") as response:
            assert (await response.head()).headers["content-disposition"] == "attachment; filename=orders.csv"
            assert (await response.read()).startswith(b"id,customer,total\r\n1,Ada,12.5\r\n")
        begun = loop.time()
        async with drive(app, "GET", "/progress") as response:
            for done in range(1, 11):
                [event] = await response.events(1)
                assert json.loads(event.data) == {"done": done, "of": 10}
                assert round(loop.time() - begun) == done
            assert [event.event for event in await response.events()] == ["stream-end"]

    read()


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/inside-your-application.md"])
def test_the_subscription_prints_what_was_published(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    sample = sample_with(page, "async with hub.subscribe")
    # A subscription to a pattern has no end; to a name it ends with its topic, and so does the sample.
    sample = sample.replace('subscribe("orders/*"', 'subscribe("orders/42"')
    finish = 'await hub.publish("orders/42", "last", end=True)\n'
    source = sample.replace("async with hub.subscribe", f"{finish}async with hub.subscribe")

    async def main() -> None:
        async with asyncio.timeout(10), Hub("memory://") as hub:
            await eval(compile(source, page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {"hub": hub})

    asyncio.run(main())
    printed = capsys.readouterr().out
    assert "orders/42 last" in printed
    assert ('orders/42 {"state":"paid"}' in printed) == ("hub.publish" in sample)

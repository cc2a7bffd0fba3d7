"""All examples as one application, with a page that lists them and shows their source."""

from __future__ import annotations

import inspect
import re
from html import escape
from types import ModuleType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from . import binary, chunked_text, csv_export, failing, named_events, picture, search, stops, updates

__all__ = ["EXAMPLES", "app", "index", "paths_of"]

EXAMPLES = (chunked_text, updates, named_events, csv_export, search, binary, picture, failing, stops)

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
STYLE = """
:root { color-scheme: light dark }
body { max-width: 60em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; overflow-wrap: anywhere }
pre { overflow: auto; padding: 1em; border: 1px solid; line-height: 1.3 }
"""
HEAD = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Gallery</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style>
<h1>Streaming responses that run</h1>
<p>A browser shows text, JSON and pictures as they come, and saves the rest: each file has commands for that.</p>
"""
CODE = re.compile("`([^`]*)`")
URL = re.compile(r"curl .*?http://127\.0\.0\.1:8000([^\s']+)")


def paths_of(example: ModuleType) -> list[str]:
    """The paths that an example's docstring asks for."""
    return URL.findall(example.__doc__ or "")


async def index(request: Request) -> HTMLResponse:
    # Not relative: the gallery may be mounted somewhere, and be asked for without its last slash.
    root = request.scope.get("root_path", "")
    parts = [_section(example, root) for example in EXAMPLES]
    return HTMLResponse(f"{HEAD}{''.join(parts)}</html>", headers=HEADERS)


def _section(example: ModuleType, root: str) -> str:
    name = example.__name__.rpartition(".")[2]
    told = CODE.sub(r"<code>\1</code>", escape((example.__doc__ or "").partition("\n")[0]))
    links = "".join(f'<li><a href="{escape(root + path)}">{escape(path)}</a>' for path in paths_of(example))
    source = escape(inspect.getsource(example))
    file = f"<details><summary>{name}.py</summary><pre><code>{source}</code></pre></details>"
    return f'<h2 id="{name}">{name}</h2><p>{told}</p><ul>{links}</ul>{file}'


app = Starlette(routes=[Route("/", index), *(route for example in EXAMPLES for route in example.app.routes)])

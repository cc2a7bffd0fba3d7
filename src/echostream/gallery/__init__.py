"""The gallery: streaming responses that run, each a small file to copy from.

    uvicorn echostream.gallery:app

then open http://127.0.0.1:8000. Each example is an application of its own as well:
`uvicorn echostream.gallery.chunked_text:app`.
"""

from __future__ import annotations

from .index import EXAMPLES, app

__all__ = ["EXAMPLES", "app"]

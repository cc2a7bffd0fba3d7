"""A shield against anyio's cancel scopes, for what must be ended in any case.

asyncio cancels a task once. A scope of anyio that was cancelled does it with every turn of the
loop until the task has left it, so whatever waits for anything there is interrupted at once.
Starlette and FastAPI, and middlewares of all kinds, run their applications in such scopes.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext

__all__ = ["shield"]


def shield() -> AbstractContextManager[object]:
    """Keep the scopes around the running task out of the block. A cancellation by asyncio itself gets through."""
    scope = getattr(sys.modules.get("anyio"), "CancelScope", None)  # who has not imported it is in no scope of it
    return nullcontext() if scope is None else scope(shield=True)

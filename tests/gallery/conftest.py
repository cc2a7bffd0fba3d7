"""The database that some examples make at their first use: made before, outside the limits of their requests."""

from __future__ import annotations

import pytest

from echostream.gallery.library import library


@pytest.fixture(scope="session")
def made_library() -> None:
    library()

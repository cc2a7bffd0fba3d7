"""Where a Chromium is: `$CHROMIUM`, then PATH, then what playwright has downloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["LAUNCH_ARGUMENTS", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")

# Chromium refuses to sandbox as root, and a container's /dev/shm is often too small for its shared memory.
LAUNCH_ARGUMENTS = (*(("--no-sandbox",) if os.geteuid() == 0 else ()), "--disable-dev-shm-usage", "--no-proxy-server")


def find_chromium() -> str | None:
    """The path of an executable Chromium, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    on_path = next((path for name in NAMES if (path := shutil.which(name))), None)
    return on_path or _downloaded()


def _downloaded() -> str | None:
    """playwright's own download. Its folder is found by asking the driver, which is slow, so it comes last."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None

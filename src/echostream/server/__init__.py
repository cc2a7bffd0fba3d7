"""The hub as a program: settings, who may do what, limits, the HTTP calls, and the process that serves them."""

from __future__ import annotations

from .app import HubApp, create_app
from .config import Settings, load_settings

__all__ = ["HubApp", "Settings", "create_app", "load_settings"]

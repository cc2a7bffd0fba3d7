"""What several tests share: servers, proxies, a browser. No test lives here."""

from __future__ import annotations

__all__: list[str] = []

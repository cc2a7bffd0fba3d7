"""What is measured against: small servers written as their users write them."""

from __future__ import annotations

__all__: list[str] = []

"""Thin fits for frameworks: the responses of `echostream.asgi` as each framework wants them."""

__all__: list[str] = []

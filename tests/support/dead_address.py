"""A host name with two addresses on loopback, of which the first one never answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

DEAD, ALIVE = "127.0.0.2", "127.0.0.1"


@contextmanager
def _black_hole(address: str, port: int) -> Iterator[int]:
    """Listen at a port whose queue is full, so that further connections get no answer."""
    with socket.socket() as listener:
        listener.bind((address, port))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect((address, port))
        try:
            yield port
        finally:
            for each in waiting:
                each.close()


@contextmanager
def name_with_dead_address(monkeypatch: pytest.MonkeyPatch, port: int = 0) -> Iterator[int]:
    """Let every name have both addresses; yield the port at which the first one is dead."""

    def resolve(host: object, port: object, *args: object, **more: object) -> list[Any]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        number = int(port) if isinstance(port, bytes | str) else port
        return [(*stream, (address, number)) for address in (DEAD, ALIVE)]

    with _black_hole(DEAD, port) as port:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        yield port

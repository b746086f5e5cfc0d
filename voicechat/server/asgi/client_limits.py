"""Rate limits: a number of requests for each client."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from math import ceil

from starlette.requests import Request

from voicechat.server.asgi.refusals import Refusal
from voicechat.server.fair_share import Allowance

MAX_CLIENTS = 4_096
"""Clients that are remembered; the one that was away longest is forgotten."""

_NETWORK_BITS = 64
"""The part of an IPv6 address that a provider gives to one customer (RFC 6177)."""


class ClientLimits:
    """The allowance of each client; it grows back within a minute."""

    def __init__(
        self, per_minute: int, what: str, now: Callable[[], float] = time.monotonic
    ) -> None:
        """what: the plural noun for messages. now: seconds of a clock that never goes back."""
        self._per_minute = per_minute
        self._what = what
        self._now = now
        self._clients: OrderedDict[str, Allowance] = OrderedDict()

    def take(self, client: str) -> None:
        """Use up one request of a client. Raises `Refusal` if none is left."""
        allowance = self._clients.pop(client, None)
        if allowance is None:
            allowance = Allowance(self._per_minute, self._per_minute / 60, self._now)
        self._clients[client] = allowance
        while len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        if not allowance.take():
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                f"At most {self._per_minute} {self._what} per minute. Try again later.",
                retry_after=ceil(60 / self._per_minute),
            )


def client_of(request: Request) -> str:
    """Return what stands for the client of a request: its address, or its network for IPv6."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:60]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _NETWORK_BITS << _NETWORK_BITS))

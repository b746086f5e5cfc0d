"""Requests for items as the provider stores them, which a caller awaits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from voicechat.core import effects, inputs
from voicechat.errors import SessionLost

FETCH_TIMEOUT_S = 10.0
"""Seconds a provider has to return an item."""


class PendingRequests:
    """Sends requests with `handle` and resolves them with the effects that answer them."""

    def __init__(self, handle: Callable[[inputs.Input], None]) -> None:
        self._handle = handle
        self._fetches: deque[tuple[str, asyncio.Future[Mapping[str, object] | None]]] = deque()

    async def fetch(self, item_id: str) -> Mapping[str, object]:
        """Return an item as the provider stores it. Raises `SessionLost` if it is not returned."""
        found: asyncio.Future[Mapping[str, object] | None]
        found = asyncio.get_running_loop().create_future()
        waiting = (item_id, found)
        self._fetches.append(waiting)
        self._handle(inputs.FetchItem(item_id))
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                item = await found
        except TimeoutError:
            item = None
        finally:
            if waiting in self._fetches:
                self._fetches.remove(waiting)
        if item is None:
            raise SessionLost(f"The provider does not return the item {item_id}.")
        return item

    def settle(self, effect: effects.ItemFetched) -> None:
        """Resolve the request that the effect answers."""
        item_id, item = effect.item_id, effect.item
        # A refusal does not name the item; it answers the oldest request.
        for waiting in list(self._fetches):
            if waiting[0] == item_id or not item_id:
                self._fetches.remove(waiting)
                _resolve(waiting[1], item)
                return


def _resolve(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)

"""Requests to the provider that a caller awaits: out-of-band responses and fetched items."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from voicechat.core import effects, inputs
from voicechat.errors import SessionLost

FETCH_TIMEOUT_S = 10.0
"""Seconds a provider has to return an item."""

OUT_OF_BAND_TIMEOUT_S = 60.0
"""Seconds until an out-of-band request fails; the conversation fails it earlier."""


class PendingRequests:
    """Sends requests with `handle` and resolves them with the effects that answer them."""

    def __init__(self, handle: Callable[[inputs.Input], None]) -> None:
        self._handle = handle
        self._out_of_band: dict[str, asyncio.Future[str]] = {}
        self._fetches: deque[tuple[str, asyncio.Future[Mapping[str, object] | None]]] = deque()
        self._numbers = count(1)

    async def ask_out_of_band(self, instructions: str, most_tokens: int | None = None) -> str:
        """Return the text of an out-of-band response. Raises `SessionLost` if there is none."""
        key = f"request_{next(self._numbers)}"
        answer = self._out_of_band[key] = asyncio.get_running_loop().create_future()
        try:
            self._handle(inputs.AskOutOfBand(key, instructions, most_tokens))
            async with asyncio.timeout(OUT_OF_BAND_TIMEOUT_S):
                text: str = await answer
                return text
        except TimeoutError:
            raise SessionLost("The model did not answer in time.") from None
        finally:
            del self._out_of_band[key]

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

    def settle(self, effect: effects.OutOfBandAnswered | effects.ItemFetched) -> None:
        """Resolve the request that the effect answers."""
        match effect:
            case effects.OutOfBandAnswered(key, text, error):
                self._answer(key, text, error)
            case effects.ItemFetched(item_id, item):
                self._fetched(item_id, item)

    def _answer(self, key: str, text: str, error: str) -> None:
        answer = self._out_of_band.get(key)
        if answer is None or answer.done():
            return
        if error:
            answer.set_exception(SessionLost(error))
        else:
            answer.set_result(text)

    def _fetched(self, item_id: str, item: Mapping[str, object] | None) -> None:
        # A refusal does not name the item; it answers the oldest request.
        for waiting in list(self._fetches):
            if waiting[0] == item_id or not item_id:
                self._fetches.remove(waiting)
                _resolve(waiting[1], item)
                return


def _resolve(future: asyncio.Future[Any], answer: object) -> None:
    if not future.done():
        future.set_result(answer)

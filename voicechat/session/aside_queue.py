"""Requests out of band: answers of the model that are no part of the conversation.

Titles, summaries, `/ask-aside` and programs share one queue. `PARALLEL` requests are at the
provider, `MAX_WAITING` others wait their turn, and a further one is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from voicechat.core import effects, inputs
from voicechat.core.items import Usage
from voicechat.errors import SessionLost

PARALLEL: Final = 2
"""Requests at the provider at the same time."""

MAX_WAITING: Final = 8
"""Most requests that wait for those; the newest is refused."""

DEADLINE_S: Final = 45.0
"""Seconds for a request with its wait, unless it has its own deadline."""


@dataclass(frozen=True, slots=True)
class AsideAnswer:
    """An answer out of band. Exported as `voicechat.Aside`."""

    text: str
    usage: Usage = field(default_factory=Usage)
    """Tokens of this answer; zeros if the provider does not report them."""
    cost: float | None = None
    """Estimated cost in US dollars; None if it is unknown."""


class AsideQueue:
    """The requests of one session. Use it on the event loop."""

    def __init__(
        self,
        handle: Callable[[inputs.Input], None],
        cost_of: Callable[[Usage], float | None],
    ) -> None:
        """Send requests with `handle`; `settle` takes the effects that answer them."""
        self._handle = handle
        self._cost_of = cost_of
        self._slots = asyncio.Semaphore(PARALLEL)
        self._waiting = 0
        self._open: dict[str, asyncio.Future[effects.OutOfBandAnswered]] = {}
        self._numbers = count(1)

    async def ask(
        self,
        instructions: str,
        most_tokens: int | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> AsideAnswer:
        """Return the answer to the instructions.

        Raises `SessionLost` if there is none within `deadline_s`, or if too many requests wait.
        """
        if self._waiting >= MAX_WAITING:
            text = f"{MAX_WAITING} requests out of band wait already."
            raise SessionLost(text, "Ask again when they are answered.")
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline_s), self._slots:
                self._waiting -= 1
                try:
                    return await self._ask(instructions, most_tokens)
                finally:
                    self._waiting += 1
        except TimeoutError:
            raise SessionLost("The model did not answer in time.") from None
        finally:
            self._waiting -= 1

    async def _ask(self, instructions: str, most_tokens: int | None) -> AsideAnswer:
        key = f"request_{next(self._numbers)}"
        answer = self._open[key] = asyncio.get_running_loop().create_future()
        try:
            self._handle(inputs.AskOutOfBand(key, instructions, most_tokens))
            found = await answer
        except BaseException:
            self._handle(inputs.CancelOutOfBand(key))
            raise
        finally:
            del self._open[key]
        if found.error:
            raise SessionLost(found.error)
        known = found.usage != Usage()
        return AsideAnswer(found.text, found.usage, self._cost_of(found.usage) if known else None)

    def settle(self, effect: effects.OutOfBandAnswered) -> None:
        """Resolve the request that the effect answers."""
        answer = self._open.get(effect.key)
        if answer is not None and not answer.done():
            answer.set_result(effect)

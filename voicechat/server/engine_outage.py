"""The availability of one remote engine: reports a failure once, and checks again later.

    usable ── failed(error) ──> unusable, one sentence for the user
       ^                            │ 5 s, 10 s, 20 s … 5 min
       └──── the check succeeds ────┘

A check that succeeds makes the engine usable again. Only a request that succeeds ends the outage:
until then a further failure is not reported again, and the waiting time continues to grow. A new
connection to the server ends the waiting time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from voicechat.errors import VoicechatError

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0

Notify = Callable[[str], None]
"""Called with a sentence for the user."""


class EngineOutage:
    """Tracks whether one remote engine may be used. End it with `close`.

    check: raises `VoicechatError` while the engine does not answer; it has its own deadline.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        notify: Notify,
        first: float = FIRST_SECONDS,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._check = check
        self._notify = notify
        self._first, self._longest = first, longest
        self._delay = first
        self._reported = False
        self._retry: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """True unless the engine has failed and not yet passed a check."""
        return self._retry is None

    async def open(self) -> bool:
        """Check the engine; report a failure and return False."""
        try:
            await self._check()
        except VoicechatError as error:
            self.failed(error)
        return self.usable

    def failed(self, error: VoicechatError) -> None:
        """Stop using the engine, and check it again later."""
        if self._retry is not None:
            return
        if not self._reported:
            self._reported = True
            message = error.message.removesuffix(".")
            self._notify(f"{message}; the built-in one takes over. {error.hint}".rstrip())
        self._retry = asyncio.create_task(self._until_usable())

    def succeeded(self) -> None:
        """End the outage: a request was answered."""
        self._reported = False
        self._delay = self._first

    def check_now(self) -> None:
        """Check an engine that has failed without waiting longer."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = asyncio.create_task(self._until_usable(waits=False))

    async def _until_usable(self, *, waits: bool = True) -> None:
        while True:
            if waits:
                await asyncio.sleep(self._delay)
                self._delay = min(self._delay * 2, self._longest)
            waits = True
            try:
                await self._check()
            except VoicechatError:
                continue
            self._retry = None
            return

    def close(self) -> None:
        """Stop checking."""
        if self._retry is not None:
            self._retry.cancel()

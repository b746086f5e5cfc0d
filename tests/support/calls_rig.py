"""`voicechat calls listen` in this process, with the scripted provider of `call_provider`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from call_provider import KEY, SECRET, CallProvider, call_provider

from voicechat.calls.app import ListenOptions, WebhookEndpoint
from voicechat.config.call_settings import CallSettings
from voicechat.config.options import Options
from voicechat.errors import Secret, UsageError


def provider_options(provider: CallProvider, **more: Any) -> Options:
    """Return the options of a user of this provider, who keeps no history."""
    given: dict[str, Any] = {
        "model": "openai/gpt-realtime-2.1",
        "base_url": provider.base_url,
        "keys": {"OPENAI_API_KEY": Secret(KEY)},
        "history": False,
        **more,
    }
    return Options(**given)


def _loaded(provider: CallProvider, name: str) -> Options:
    if name != "loaded":
        raise UsageError(f"There is no profile {name}.")
    return provider_options(provider, instructions="Of a profile that was loaded.")


@dataclass
class CallsRig:
    """The endpoint, its provider and its lines."""

    endpoint: WebhookEndpoint
    provider: CallProvider
    lines: list[str]
    warnings: list[str]

    async def ring(self, call_id: str, caller: str = "+15551230000") -> None:
        """Let a call ring; the webhook is answered at once."""
        answer = await self.provider.ring(self.endpoint.url, call_id, caller)
        assert answer.status_code == 200, answer.text

    async def online(self, *call_ids: str) -> None:
        """Wait until the sessions of these calls have joined, with their tools."""
        calls = [self.provider.calls[each] for each in call_ids]

        def missing() -> list[str]:
            updates = {c: sum(f["type"] == "session.update" for f in c.received) for c in calls}
            return [f"{c.call_id} {c.state} {n}" for c, n in updates.items() if n < 2]

        try:
            await self.provider.until(lambda: not missing())
        except TimeoutError:
            raise AssertionError(f"{missing()}, {self.warnings}, {self.lines}") from None

    async def said(self, *lines: str) -> None:
        """Wait until these lines were printed."""
        try:
            await self.provider.until(lambda: set(lines) <= set(self.lines))
        except TimeoutError:
            raise AssertionError(f"{lines} not in {self.lines}, {self.warnings}") from None

    async def idle(self) -> None:
        """Wait until no call runs."""
        await self.provider.until(lambda: not self.endpoint.desk.running)


@asynccontextmanager
async def calls_rig(
    settings: CallSettings | None = None,
    profiles: dict[str | None, dict[str, Any]] | None = None,
    **options: Any,
) -> AsyncIterator[CallsRig]:
    """Run the endpoint. profiles: further options of each profile. options: of all."""
    async with call_provider() as provider:
        lines: list[str] = []
        warnings: list[str] = []

        def noted(kept: list[str]) -> Callable[[str], None]:
            def note(line: str) -> None:
                kept.append(line)
                provider.note()

            return note

        endpoint = WebhookEndpoint(
            ListenOptions(port=0),
            {
                name: provider_options(provider, **{**options, **more})
                for name, more in (profiles or {None: {}}).items()
            },
            settings or CallSettings(default="accept"),
            Secret(SECRET),
            noted(lines),
            noted(warnings),
            lambda name: _loaded(provider, name),
        )
        ready, stopped = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(endpoint.run(ready.set, stopped))
        try:
            await asyncio.wait_for(ready.wait(), 10)
            yield CallsRig(endpoint, provider, lines, warnings)
        finally:
            stopped.set()
            await asyncio.wait_for(running, 15)
        assert provider.wrong == []

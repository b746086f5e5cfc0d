"""A setup endpoint on a real socket, with a provider that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from http_stub import HttpStub, http_stub

from voicechat.config.endpoint import Endpoint
from voicechat.config.options import Options
from voicechat.core.settings import Permission
from voicechat.errors import Secret
from voicechat.history.usage_ledger import UsageLedger
from voicechat.setup_endpoint.app import SETUP, SetupEndpoint
from voicechat.setup_endpoint.endpoint_options import EndpointOptions

KEY = "sk-planted-0123456789"
ACCESS = "access-planted-0123456789"
PAGE = "https://app.example"
BEARER = {"Authorization": f"Bearer {ACCESS}"}
GRANT = b'{"value":"ek_1","expires_at":1794643800}'
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 40}, "days": {"type": "integer"}},
    "required": ["city"],
}


@dataclass
class SetupRig:
    """The endpoint, its provider, and a client."""

    endpoint: SetupEndpoint
    provider: HttpStub
    client: httpx.AsyncClient
    warnings: list[str]
    clock: list[float]

    async def post(
        self, path: str = SETUP, content: Any = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a POST; content: bytes as they are, anything else as JSON."""
        sent = dict(BEARER if headers is None else headers)
        if content is None:
            content = {}
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.client.post(
            path, content=body, headers={"Content-Type": "application/json", **sent}
        )

    async def refused(
        self, path: str = SETUP, content: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Send a POST that is refused; return the status and the code of the error."""
        answer = await self.post(path, content, headers)
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()["error"]
        assert error["message"]
        assert KEY not in answer.text
        assert ACCESS not in answer.text
        return answer.status_code, error["code"]


@dataclass
class Weather:
    """The tool get_weather, whose answers the rig's provider gives, too."""

    permission: Permission = Permission.AUTO
    parameters: dict[str, Any] = field(default_factory=lambda: dict(WEATHER))

    def endpoint(self, provider: HttpStub) -> Endpoint:
        return Endpoint(
            "get_weather", f"{provider.url}/weather", "GET", "Tell the weather.", self.parameters,
            headers={"x-key": Secret(KEY)}, permission=self.permission,
        )  # fmt: skip


@asynccontextmanager
async def setup_rig(
    settings: dict[str, Any] | None = None,
    weather: Weather | None = None,
    ledger: Path | None = None,
    **options: Any,
) -> AsyncIterator[SetupRig]:
    """Run an endpoint. settings: more options of the user. options: of the endpoint."""
    async with http_stub() as provider:
        provider.chunks = [GRANT]
        given: dict[str, Any] = {
            "model": "openai/m",
            "base_url": provider.url,
            "keys": {"OPENAI_API_KEY": Secret(KEY)},
            **(settings or {}),
        }
        if weather is not None:
            given["endpoints"] = (weather.endpoint(provider),)
            options.setdefault("tools", ("get_weather",))
        asked = {"port": 0, "token": Secret(ACCESS), "origins": frozenset({PAGE}), **options}
        warnings: list[str] = []
        clock = [1000.0]
        open_ledger: Callable[[], UsageLedger] | None = None
        if ledger is not None:
            open_ledger = lambda: UsageLedger(ledger)  # noqa: E731
        endpoint = SetupEndpoint(
            Options(**given), EndpointOptions(**asked), warnings.append, open_ledger,
            lambda: clock[0],
        )  # fmt: skip
        ready, stopped = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(endpoint.run(ready.set, stopped))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            root = endpoint.url.removesuffix(SETUP)
            chain = asked.get("tls_cert")
            trusting: Any = ssl.create_default_context(cafile=str(chain)) if chain else True
            async with httpx.AsyncClient(
                base_url=root, trust_env=False, timeout=10, verify=trusting
            ) as client:
                yield SetupRig(endpoint, provider, client, warnings, clock)
        finally:
            stopped.set()
            waiting.cancel()
            await asyncio.wait({running})

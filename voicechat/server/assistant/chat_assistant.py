"""An assistant on any OpenAI-compatible chat endpoint: Ollama, llama-server, vLLM, LM Studio, …

Each reply is one POST to `{root}/chat/completions`, read as server-sent events. Text is yielded
clause by clause, tool calls when they are complete, and reasoning never.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, Secret, SessionLost, UsageError, VoicechatError
from voicechat.server.api_endpoint import (
    CONNECT_SECONDS,
    ApiEndpoint,
    error_reason,
)
from voicechat.server.assistant import chat_completions, clauses
from voicechat.server.assistant.chat_completions import ChatStream
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest
from voicechat.system.http_body import pieces, read_start

if TYPE_CHECKING:
    import httpx

_FIRST_S = 120.0
"""Seconds for the first event: Ollama and others load a model when it is first asked."""
_IDLE_S = 30.0
_MAX_BYTES = 4_000_000
"""Maximum size of one answer; a longer one is an error."""
_MAX_LIST_BYTES = 1 << 20
"""Maximum size of a list of models, and of one event: the event loop reads them at once."""


class ChatAssistant:
    """An `Assistant` on a chat endpoint.

    url: the root with its version, such as http://localhost:11434/v1. model: its name there; None
    selects the first in the server's list. key: sent as a bearer token, over https or to this
    machine only, and to no other host. connect, first, idle: deadlines in seconds.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        key: Secret | None = None,
        connect: float = CONNECT_SECONDS,
        first: float = _FIRST_S,
        idle: float = _IDLE_S,
    ) -> None:
        self.on_announcement = lambda _words: None
        self._api = ApiEndpoint("chat server", url, key, connect_seconds=connect)
        self._model = model or ""
        self._connect_s, self._first_s, self._idle_s = connect, first, idle
        self._client: httpx.AsyncClient | None = None
        self._without_tools = ""
        """The model that accepts no tools; empty if none is known."""
        self.notify: Callable[[str], None] = lambda _sentence: None
        """Called with a sentence for the user."""

    @property
    def model(self) -> str:
        """The name of the model; known after `open()`."""
        return self._model

    async def open(self) -> None:
        """Check that the server responds and has the model.

        Raises `ConnectError` if the server does not answer, `KeyMissing` if it refuses the key and
        `UsageError` if it does not have the model.
        """
        await self.close()
        self._client = self._api.create_client()
        try:
            async with (
                self._api.translated_errors(),
                asyncio.timeout(self._connect_s * 2),
                self._client.stream("GET", "models") as response,
            ):
                content = await read_start(response, _MAX_LIST_BYTES)
            self._choose(response.status_code, content)
        except VoicechatError:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def end_chance(self, text: str) -> float:
        """Return 1.0 if the text looks like a complete sentence, otherwise 0.0.

        It has at least three words and a final ".", "!" or "?", and its last word is not one
        that a sentence continues after, such as "and" or "the".
        """
        return float(clauses.is_sentence(text))

    async def reply(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        """Ask the model. Close the iterator to stop. Raises `VoicechatError` on failure."""
        if self._client is None:
            await self.open()
        if self._without_tools == self._model:
            request = replace(request, tools=())
        answer, is_empty = ChatStream(), True
        async with (
            self._api.translated_errors(),
            self._answer(request) as response,
            aclosing(self._events(response)) as events,
        ):
            async for event in events:
                is_empty = is_empty and "choices" not in event
                for output in answer.take(event):
                    yield output
        if is_empty:
            host = urlsplit(self._api.root).netloc
            raise ConnectError(
                f"The chat server at {host} sent something that is not a chat reply.",
                "Check --chat-url.",
            )
        for output in answer.end():
            yield output

    @asynccontextmanager
    async def _answer(self, request: AssistantRequest) -> AsyncIterator[httpx.Response]:
        """Ask the model, without tools if it accepts none; yield the answer."""
        async with self._post(request) as response:
            if response.status_code == 200:
                yield response
                return
            refusal = await self._refused_tools(response, request)
        async with self._post(replace(request, tools=())) as response:
            if response.status_code != 200:
                await self._raise_refused(response)
            self._without_tools = self._model
            self.notify(refusal)
            yield response

    @asynccontextmanager
    async def _post(self, request: AssistantRequest) -> AsyncIterator[httpx.Response]:
        assert self._client is not None
        body = chat_completions.request_body(self._model, request)
        post = self._client.stream("POST", "chat/completions", json=body)
        async with asyncio.timeout(self._first_s):
            response = await post.__aenter__()
        try:
            yield response
        finally:
            await post.__aexit__(None, None, None)

    async def _events(self, response: httpx.Response) -> AsyncGenerator[Mapping[str, object], None]:
        """Yield the JSON objects of the stream. Raises `SessionLost` if it ends early."""
        lines = _lines(response)
        wait = self._first_s
        async with aclosing(lines):
            while True:
                async with asyncio.timeout(wait):
                    line = await anext(lines, None)
                if line is None or line == "[DONE]":
                    return
                wait = self._idle_s
                try:
                    event = json.loads(line)
                except (ValueError, RecursionError):
                    raise SessionLost(f"{self._api.label} sent an invalid answer.") from None
                if isinstance(event, Mapping):
                    _raise_error(event)
                    yield event

    def _choose(self, status: int, content: bytes) -> None:
        """Select the requested model, or the first of the list."""
        if status in (401, 403):
            self._api.raise_refused(status, "")
        if status >= 500:
            raise ConnectError(f"{self._api.label} answered with an error ({status}).")
        listed = chat_completions.models(content) if status == 200 else None
        if listed is None:
            if self._model and status in (200, 400, 404, 405, 501):
                return
            raise ConnectError(
                f"{self._api.label} is not a chat endpoint.", "Check that the URL ends in /v1."
            )
        names = {name: name for name in listed} | {
            name.removesuffix(":latest"): name for name in listed
        }
        if self._model and self._model not in names:
            examples = ", ".join(excerpt(clean(name)) for name in listed[:5]) or "none at all"
            raise UsageError(
                f"{self._api.label} has no model {self._model!r}.", f"It has: {examples}."
            )
        if not listed:
            raise UsageError(f"{self._api.label} has no models.", "Load a model there first.")
        self._model = names.get(self._model, listed[0])

    async def _refused_tools(self, response: httpx.Response, request: AssistantRequest) -> str:
        """Return the notice for a server that refused the tools; raise any other refusal."""
        reason = await self._reason(response)
        if response.status_code in (401, 403) or not request.tools or "tool" not in reason.lower():
            self._api.raise_refused(response.status_code, reason)
        return (
            f"{self._api.label} does not accept tools: {reason.rstrip('.')}. It answers without"
            " them. In Ollama, choose a model with tools. llama-server needs --jinja; vLLM needs"
            " --enable-auto-tool-choice and a parser."
        )

    async def _raise_refused(self, response: httpx.Response) -> NoReturn:
        self._api.raise_refused(response.status_code, await self._reason(response))

    async def _reason(self, response: httpx.Response) -> str:
        async with asyncio.timeout(self._idle_s):
            return error_reason(await read_start(response))


def _raise_error(event: Mapping[str, object]) -> None:
    if event.get("error"):
        reason = error_reason(json.dumps(event).encode())
        raise SessionLost(f"The chat server failed: {reason}")


async def _lines(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Yield the data of each event. Raises `SessionLost` if the answer is too large."""
    buffer, size = b"", 0
    async with aclosing(pieces(response)) as chunks:
        async for chunk in chunks:
            size += len(chunk)
            if size > _MAX_BYTES or len(buffer) > _MAX_LIST_BYTES:
                raise SessionLost("The chat server's answer is too long.")
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    yield line[5:].strip().decode("utf-8", "replace")
    if buffer.startswith(b"data:"):
        yield buffer[5:].strip().decode("utf-8", "replace")

"""Conversations with the offline assistant: with its own skills, or with the client's tools."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from voicechat.server.assistant.offline_assistant import OfflineAssistant
from voicechat.server.engine_protocols import (
    AssistantOutput,
    AssistantRequest,
    Call,
    Message,
    Say,
    ToolOffer,
)
from voicechat.tools.builtin import builtin
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import AppCommand, ToolContext


class Clock:
    """A clock that the test advances; due calls then run."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 6, 15, 20, tzinfo=UTC)
        self.due: list[Due] = []

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float, function: Callable[[], None]) -> Due:
        """Replace `loop.call_later`."""
        entry = Due(self.now + timedelta(seconds=seconds), function, self.due)
        self.due.append(entry)
        return entry

    def move(self, **span: float) -> None:
        """Advance the clock and run what is due."""
        until = self.now + timedelta(**span)
        while ready := sorted((one for one in self.due if one.at <= until), key=lambda one: one.at):
            self.now = ready[0].at
            ready[0].cancel()
            ready[0].function()
        self.now = until


class Due:
    """A scheduled call."""

    def __init__(self, at: datetime, function: Callable[[], None], among: list[Due]) -> None:
        self.at, self.function, self.among = at, function, among

    def cancel(self) -> None:
        """Prevent the call."""
        self.among.remove(self)


class SkillTalk:
    """A conversation without tools. Keeps the messages as a session does."""

    def __init__(self, folder: Path | None, forbidden_tools: Collection[str] = ()) -> None:
        self.clock = Clock()
        self.assistant = OfflineAssistant(
            folder, self.clock, Random(1), self.clock.later, forbidden_tools
        )
        self.rung: list[str] = []
        self.assistant.on_announcement = self.rung.append
        self.messages: list[Message] = []

    async def think(self, text: str, **options: Any) -> list[AssistantOutput]:
        """Return the output of the assistant."""
        if text:
            self.messages.append(Message("user", text))
        request = AssistantRequest(tuple(self.messages), **options)
        return [thought async for thought in self.assistant.reply(request)]

    async def __call__(self, text: str, **options: Any) -> str:
        """Return the reply, which calls no tool."""
        thoughts = await self.think(text, **options)
        assert all(isinstance(thought, Say) for thought in thoughts)
        said = "".join(thought.text for thought in thoughts if isinstance(thought, Say))
        self.messages.append(Message("assistant", said))
        return said

    def interrupt(self, heard: str) -> None:
        """Truncate the last reply to the words that the user heard."""
        assert self.messages[-1].text.startswith(heard)
        self.messages[-1] = Message("assistant", heard)


class ToolTalk:
    """A conversation with a session that runs the calls of the assistant."""

    def __init__(self, folder: Path | None, commands: tuple[AppCommand, ...] = ()) -> None:
        self.rung: list[str] = []
        tools = builtin(ToolContext(kept=folder, announce=self.rung.append, commands=commands))
        self.registry = Registry(*tools)
        self.offers = [
            ToolOffer(one.spec.name, one.spec.description, one.spec.parameters) for one in tools
        ]
        self.assistant = OfflineAssistant(folder)
        self.messages: list[Message] = []
        self.called: list[str] = []

    async def __call__(self, text: str, role: str = "user") -> str:
        """Return the final reply."""
        self.messages.append(Message(role, text))
        said = ""
        while True:
            request = AssistantRequest(tuple(self.messages), tools=self.offers)
            thoughts = [thought async for thought in self.assistant.reply(request)]
            words = "".join(one.text for one in thoughts if isinstance(one, Say))
            if words:
                self.messages.append(Message("assistant", words))
                said = f"{said} {words}".strip()
            calls = [one for one in thoughts if isinstance(one, Call)]
            for call in calls:
                self.called.append(call.name)
                outcome = await self.registry.run(call.name, call.arguments)
                self.messages += [
                    Message("tool_call", call.arguments, call.call_id, call.name),
                    Message("tool_result", outcome.output, call.call_id, call.name),
                ]
            if not calls:
                return said

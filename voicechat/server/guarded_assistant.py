"""An assistant whose replies pass the words and patterns of the settings file.

The server knows the words before their sound, so nothing is sent before it is checked: a reply ends
before the words that a rule finds, and the rule's own sentence or another reply follows.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from voicechat.core.linear_pattern import WITHOUT_SPACES, PatternTooSlow
from voicechat.server.engine_protocols import Assistant, AssistantOutput, AssistantRequest, Say

MAX_ROUNDS = 3
"""Most other replies that are requested instead of one."""

OVERLAP_CHARS = 500
"""Characters before a piece that are read again with it."""

LONGEST_WORD = 40
"""Characters of an unfinished word that wait for the rest of it."""

_log = logging.getLogger(__name__)


class ReplyRule(Protocol):
    """A rule of the settings file about what is said."""

    @property
    def name(self) -> str:
        """The name that the person who runs the server sees."""
        ...

    @property
    def watches(self) -> str:
        """Whose words it reads: assistant, user or both."""
        ...

    @property
    def policy(self) -> str:
        """What happens to words whose check fails: open lets them pass, closed stops the reply."""
        ...

    @property
    def say(self) -> str:
        """What is said instead; may be empty."""
        ...

    @property
    def instructions(self) -> str:
        """Instructions for another reply instead; may be empty."""
        ...

    def search(self, text: str) -> str | None:
        """Return the first part of a text that must not be said; else None."""
        ...


class ReplyStopped(Exception):
    """A rule stopped a reply, and nothing is said instead."""


class _Found(Exception):
    """A rule found something in a reply or in the question."""

    def __init__(self, rule: ReplyRule) -> None:
        super().__init__(rule.name)
        self.rule = rule


class GuardedAssistant:
    """Replies of another assistant, as far as the rules let them pass. An `Assistant`."""

    def __init__(self, assistant: Assistant, rules: Sequence[ReplyRule]) -> None:
        self._assistant = assistant
        self._user = [rule for rule in rules if rule.watches != "assistant"]
        self._own = [rule for rule in rules if rule.watches != "user"]
        self.on_announcement: Callable[[str], None] = assistant.on_announcement

    async def open(self) -> None:
        """Load and warm up the assistant. Raises `VoicechatError` on failure."""
        await self._assistant.open()

    async def close(self) -> None:
        """Stop all work of the assistant."""
        await self._assistant.close()

    async def end_chance(self, text: str) -> float:
        """Return the chance that the spoken text is a whole request."""
        return await self._assistant.end_chance(text)

    async def reply(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        """Yield the reply, or what a rule wants instead.

        Raises `ReplyStopped` if a rule stops it for good, and what the assistant raises.
        """
        last = ""
        for count in range(MAX_ROUNDS + 1):
            try:
                if not count:
                    asked = [each.text for each in request.messages if each.role == "user"]
                    _check(self._user, asked[-1] if asked else "")
                async with aclosing(self._passed(request)) as outputs:
                    async for output in outputs:
                        last = output.text[-1:] if isinstance(output, Say) else ""
                        yield output
                return
            except _Found as found:
                rule = found.rule
            _log.warning("the guardrail %s stopped a reply", rule.name)
            if rule.say:
                yield Say(f"{' ' if last.strip() else ''}{rule.say}")
                return
            if not rule.instructions:
                break
            request = replace(request, own_instructions=rule.instructions)
        raise ReplyStopped

    async def _passed(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        words = _Words(() if request.is_aside else self._own)
        async with aclosing(_generator(self._assistant.reply(request))) as outputs:
            async for output in outputs:
                is_text = isinstance(output, Say) and not output.silent
                if not is_text and (rest := words.take("", whole=True)):
                    yield Say(rest)
                if not isinstance(output, Say):
                    yield output
                elif text := words.take(output.text, whole=output.silent):
                    yield Say(text, output.silent)
        if rest := words.take("", whole=True):
            yield Say(rest)


def guarded(assistant: Assistant, rules: Sequence[ReplyRule]) -> Assistant:
    """Return the assistant under these rules; without rules, itself."""
    return GuardedAssistant(assistant, rules) if rules else assistant


class _Words:
    """The words of one reply: how far they passed, and the start of a word that waits."""

    def __init__(self, rules: Sequence[ReplyRule]) -> None:
        self._rules = rules
        self._passed = self._waiting = ""

    def take(self, text: str, *, whole: bool) -> str:
        """Return what passes with this piece: up to the end of a word unless it is `whole`.

        Raises `_Found`.
        """
        text = f"{self._waiting}{text}"
        ready = len(text) if whole or not self._rules else _whole_words(text)
        self._waiting = text[ready:]
        if ready:
            read = f"{self._passed}{text[:ready]}"
            _check(self._rules, read)
            self._passed = read[-OVERLAP_CHARS:]
        return text[:ready]


def _check(rules: Sequence[ReplyRule], text: str) -> None:
    """Raise `_Found` for the first rule that finds something."""
    for rule in rules:
        try:
            found = rule.search(text) is not None
        except PatternTooSlow as slow:
            _log.warning("the guardrail %s %s", rule.name, slow)
            found = rule.policy == "closed"
        if found:
            raise _Found(rule)


def _whole_words(text: str) -> int:
    """Return the number of characters up to the last one that ends a word."""
    end = len(text)
    while end and text[end - 1].isalnum() and text[end - 1] < WITHOUT_SPACES:
        end -= 1
    return len(text) if len(text) - end > LONGEST_WORD else end


async def _generator(
    source: AsyncIterator[AssistantOutput],
) -> AsyncGenerator[AssistantOutput, None]:
    """Yield the outputs, and close their source at the end."""
    try:
        async for output in source:
            yield output
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()

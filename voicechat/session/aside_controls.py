"""Answers outside the conversation, such as summaries, and the guardrails of a live session."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from voicechat.core import effects
from voicechat.core.price import dollars
from voicechat.errors import UsageError, VoicechatError
from voicechat.session.aside_queue import DEADLINE_S, AsideAnswer, AsideQueue
from voicechat.session.request_controls import RequestControls
from voicechat.session.updates import Report, WorkEnded
from voicechat.system.text_table import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from voicechat.core.items import Usage
    from voicechat.session.budget_watch import Ledger
    from voicechat.session.guardrail_runner import GuardrailRunner
    from voicechat.session.model import ChosenModel

SUMMARY: Final = (
    "Summarize this conversation so far in at most five short sentences, in the language it is"
    " held in. Write the summary and nothing else."
)

QUESTION: Final = (
    "Answer in a few sentences. This question is an aside: it is no part of the conversation."
)

_HEADING_CHARS = 60


class AsideControls(RequestControls):
    """Requests out of band, each with a deadline, and guardrails."""

    _guardrails: GuardrailRunner

    def __init__(self, chosen: ChosenModel, open_ledger: Callable[[], Ledger] | None) -> None:
        super().__init__(chosen, open_ledger)
        self._asides = AsideQueue(self._handle, self._cost_of)

    def _cost_of(self, usage: Usage) -> float | None:
        return self._costs.cost_of(self._chosen.connected_name, "other", usage)

    @property
    def may_write(self) -> bool:
        """True if a language model answers out of band."""
        is_rule_based = self._costs.is_free(self.model) and not self.options.chat_url
        return self.capabilities.out_of_band and not is_rule_based

    async def ask_aside(
        self,
        instructions: str,
        most_tokens: int | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> AsideAnswer:
        """Return the model's answer to instructions, without a change of the conversation.

        The budget counts it. Raises `UsageError` if the model has no such answers, and
        `SessionLost` if none comes within `deadline_s` seconds or too many requests wait.
        """
        if not self.capabilities.out_of_band:
            text = f"{self.model} answers nothing outside the conversation."
            raise UsageError(text, "Type it as a message, or choose another model with /model.")
        return await self._asides.ask(instructions, most_tokens, deadline_s)

    def request_text(self, prompt: str, most_tokens: int, take: Callable[[str], None]) -> None:
        """Ask for a text out of band, and pass it to `take`; nothing happens without an answer."""
        self._run(self._pass_text(prompt, most_tokens, take), counts=False)

    async def _pass_text(self, prompt: str, most_tokens: int, take: Callable[[str], None]) -> None:
        with suppress(VoicechatError):
            take((await self.ask_aside(prompt, most_tokens)).text)

    # ----------------------------------------------------------------- for the user

    def summarize(self) -> None:
        """Summarize the conversation out of band; the summary is published as a `Report`."""
        self._run(self._publish_aside("Summary", SUMMARY, "Could not summarize", shows_use=False))

    async def summary(self) -> str:
        """Return a summary of the conversation. Raises like `ask_aside`."""
        return (await self.ask_aside(SUMMARY)).text

    def report_aside(self, words: str) -> None:
        """Ask the model outside the conversation; the answer is published as a `Report`."""
        heading = words if len(words) <= _HEADING_CHARS else f"{words[: _HEADING_CHARS - 1]}…"
        prompt = f"{QUESTION}\n{words}"
        self._run(self._publish_aside(f"Aside, {heading}", prompt, "No answer", shows_use=True))

    async def _publish_aside(
        self, title: str, prompt: str, failed: str, *, shows_use: bool
    ) -> None:
        try:
            answer = await self.ask_aside(prompt)
        except VoicechatError as error:
            text = f"{failed}: {error.message[:1].lower()}{error.message[1:]}"
            if isinstance(error, UsageError):
                text = f"{failed}: {error.message}"
            self._publish_update(effects.Notice(text, effects.Level.WARNING, error.hint))
            return
        lines = [answer.text, *([use] if shows_use and (use := _use_of(answer)) else ())]
        self._publish_update(Report(title, "\n".join(lines)))

    def _settle_aside(self, effect: effects.OutOfBandAnswered | effects.CheckGuardrail) -> None:
        if isinstance(effect, effects.CheckGuardrail):
            self._guardrails.check(effect, lambda: self._publish_update(WorkEnded()))
        else:
            self._asides.settle(effect)


def _use_of(answer: AsideAnswer) -> str:
    """Return the tokens and the cost of an answer in parentheses; empty if they are unknown."""
    usage = answer.usage
    tokens = usage.input_tokens + usage.output_tokens or usage.total_tokens
    if not tokens or answer.cost == 0:
        return ""
    cost = "" if answer.cost is None else f", about {dollars(answer.cost)}"
    return f"({counted(tokens, 'token')}{cost})"

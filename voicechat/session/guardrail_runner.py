"""Running guardrails: one task per check, each with a deadline and exactly one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING

from voicechat.core import effects, inputs
from voicechat.core.guardrail import MAX_GUARDRAILS, GuardrailTrip
from voicechat.core.linear_pattern import PatternTooSlow
from voicechat.core.text import clean

if TYPE_CHECKING:
    from voicechat.config.guardrail_settings import GuardrailRule
    from voicechat.tools.guardrails import Guardrail

_REASON_CHARS = 200


class GuardrailRunner:
    """The guardrails of one session. Use it on the event loop."""

    def __init__(
        self,
        handle: Callable[[inputs.Input], None],
        warn: Callable[[str], None],
        rules: Iterable[GuardrailRule],
        guardrails: Iterable[Guardrail],
    ) -> None:
        """Begin with the rules of the settings and other guardrails; call `offer` soon.

        `handle` receives the guardrails when they change, and every answer.
        """
        self.tasks: asyncio.TaskGroup | None = None
        """The task group of the session; None while no check may start."""
        self.running = 0
        """Checks whose answer the conversation does not have."""
        self._handle = handle
        self._warn = warn
        self._guardrails: dict[str, Guardrail] = {}
        self._conversations = 0
        self._keep([*map(rule_guardrail, rules), *guardrails])

    def add(self, guardrails: Iterable[Guardrail]) -> None:
        """Add the guardrails of plugins, and start their processes with an empty text."""
        found = tuple(guardrails)
        self._keep(found)
        self.offer()
        for each in found:
            self._start(_outcome(each, ""))

    def _keep(self, guardrails: Iterable[Guardrail]) -> None:
        for each in guardrails:
            name = each.spec.name
            if name in self._guardrails:
                self._warn(f"There are two guardrails called {name}; the later is ignored.")
            elif len(self._guardrails) >= MAX_GUARDRAILS:
                text = f"There are more than {MAX_GUARDRAILS} guardrails; {name} is ignored."
                self._warn(text)
            else:
                self._guardrails[name] = each

    def offer(self) -> None:
        """Tell the conversation which guardrails there are."""
        if self._guardrails:
            specs = tuple(each.spec for each in self._guardrails.values())
            self._handle(inputs.OfferGuardrails(specs))

    def restart(self) -> None:
        """Guard another conversation; answers for the one before are dropped."""
        self._conversations += 1
        self.offer()

    def check(self, effect: effects.CheckGuardrail, rest: Callable[[], None]) -> None:
        """Start a check; returns at once. rest: called when no check runs any longer."""
        guardrail = self._guardrails.get(effect.guardrail)
        if guardrail is None:
            return

        def ended(_: asyncio.Task[object]) -> None:
            self.running -= 1
            if not self.running:
                rest()

        if task := self._start(self._run(guardrail, effect)):
            self.running += 1
            task.add_done_callback(ended)

    def _start(self, work: Coroutine[None, None, object]) -> asyncio.Task[object] | None:
        try:
            task = self.tasks.create_task(work) if self.tasks is not None else None
        except RuntimeError:  # the session ends with an error
            task = None
        if task is None:
            work.close()
        return task

    async def _run(self, guardrail: Guardrail, effect: effects.CheckGuardrail) -> None:
        conversation = self._conversations
        trip, problem = await _outcome(guardrail, effect.text)
        if self.tasks is not None and conversation == self._conversations:
            self._handle(inputs.GuardrailAnswered(effect.number, trip, problem))


async def _outcome(guardrail: Guardrail, text: str) -> tuple[GuardrailTrip | None, str]:
    """Return the trip, and the problem that kept the check from a result."""
    from voicechat.tools.guardrails import GuardrailFailed

    deadline = guardrail.spec.deadline_s
    try:
        async with asyncio.timeout(deadline):
            return await guardrail.check(text), ""
    except TimeoutError:
        return None, f"did not answer within {deadline:g} seconds"
    except GuardrailFailed as failure:
        reason = str(failure)
    except Exception as failure:  # any error of a function is one of the guardrail
        reason = f"failed: {type(failure).__name__}: {failure}"
    return None, " ".join(clean(reason).split())[:_REASON_CHARS]


def rule_guardrail(rule: GuardrailRule) -> Guardrail:
    """Return the guardrail of words or a pattern of the settings."""
    from voicechat.tools.guardrails import GuardrailFailed, guardrail

    def check(text: str) -> GuardrailTrip | None:
        try:
            found = rule.search(text)
        except PatternTooSlow as slow:
            raise GuardrailFailed(str(slow)) from None
        if found is None:
            return None
        return GuardrailTrip(f'it found "{found}"', rule.say, rule.instructions)

    return guardrail(name=rule.name, policy=rule.policy, watches=rule.watches)(check)

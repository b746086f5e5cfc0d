"""The decision about a call: the first rule that covers it, or else the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from voicechat.calls.call_functions import CallFunctions, FunctionFailed
from voicechat.calls.incoming_call import IncomingCall
from voicechat.config.call_settings import Action, CallRule, CallSettings
from voicechat.core.text import clean


@dataclass(frozen=True, slots=True)
class CallDecision:
    """What happens with a call."""

    action: Action
    profile: str | None = None
    code: int = 603
    problem: str = ""
    """A sentence about a function that failed."""


class AnswerRules:
    """The rules of the settings, with their functions. Call `load` first, `close` at the end."""

    def __init__(self, settings: CallSettings) -> None:
        self._settings = settings
        self._functions = CallFunctions(settings.rules)

    async def load(self) -> None:
        """Load the functions. Raises `UsageError` for one that cannot be loaded."""
        await self._functions.load()

    async def close(self) -> None:
        """End the processes of the functions."""
        await self._functions.close()

    async def decide(self, call: IncomingCall, at: datetime) -> CallDecision:
        """Return what happens with a call that came at this local time."""
        for rule in self._settings.rules:
            if not rule.covers(call.caller, at):
                continue
            if rule.action is not None:
                return self._decision(rule.action, rule)
            if (decision := await self._ask(rule, call)) is not None:
                return decision
        return self._decision(self._settings.default)

    def _decision(self, action: Action, rule: CallRule | None = None) -> CallDecision:
        profile = (rule.profile if rule else None) or self._settings.profile
        code = (rule.code if rule else None) or self._settings.code
        return CallDecision(action, profile, code)

    async def _ask(self, rule: CallRule, call: IncomingCall) -> CallDecision | None:
        """Ask the function of a rule. A call whose function fails is rejected."""
        try:
            answer = await self._functions.ask(rule, call)
            return None if answer is None else self._read(answer, rule)
        except FunctionFailed as failure:
            problem = str(failure)
        except ValueError as wrong:
            problem = f"gave {wrong}"
        sentence = f"The function {rule.function} {problem}; the call is rejected."
        return CallDecision("reject", code=480, problem=clean(sentence))

    def _read(self, answer: object, rule: CallRule) -> CallDecision:
        """Return the decision in an answer. Raises `ValueError` for any other answer."""
        given: Mapping[str, object]
        if isinstance(answer, Mapping):
            given = answer
        elif isinstance(answer, int) and not isinstance(answer, bool):
            given = {"action": "reject", "code": answer}
        else:
            given = {"action": answer}
        action, code = given.get("action"), given.get("code")
        if action not in ("accept", "reject") or not given.keys() <= {"action", "profile", "code"}:
            raise ValueError("no decision")
        if code is not None and not (isinstance(code, int) and 400 <= code <= 699):
            raise ValueError("no code of SIP")
        usual = self._decision(action, rule)
        profile = given.get("profile", usual.profile)
        if profile is not None and not isinstance(profile, str):
            raise ValueError("no name of a profile")
        return CallDecision(usual.action, profile, code or usual.code)

"""The decision about a call: the first rule that covers it, or else the default."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from voicechat.calls.incoming_call import IncomingCall
from voicechat.config.call_settings import Action, CallRule, CallSettings
from voicechat.config.loader import settings_path
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.system.daemon_call import call_with_deadline

ENTRY_POINTS = "voicechat.calls"
"""The group in which packages name functions that decide about calls."""

FUNCTION_S = 5.0
"""Seconds for a function; the phone rings meanwhile."""

Decide = Callable[[IncomingCall], Any]
"""Returns "accept", "reject", a code of SIP, None for the next rule, or a dict with `action`, and
`profile` or `code`. It may be a coroutine function."""


@dataclass(frozen=True, slots=True)
class CallDecision:
    """What happens with a call."""

    action: Action
    profile: str | None = None
    code: int = 603
    problem: str = ""
    """A sentence about a function that failed."""


class AnswerRules:
    """The rules of the settings, with their functions."""

    def __init__(self, settings: CallSettings) -> None:
        """Load the functions. Raises `UsageError` for one that cannot be loaded."""
        self._settings = settings
        self._functions = {
            rule.function: load_function(rule.function) for rule in settings.rules if rule.function
        }

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
        function = self._functions[rule.function]
        try:
            answer = await call_with_deadline(partial(_answer, function, call), FUNCTION_S)
            return None if answer is None else self._read(answer, rule)
        except TimeoutError:
            problem = f"took longer than {FUNCTION_S:g} s"
        except Exception as error:  # the user's own code
            problem = f"failed with {type(error).__name__}"
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
            raise ValueError("not a decision")
        if code is not None and not (isinstance(code, int) and 400 <= code <= 699):
            raise ValueError("not a code")
        usual = self._decision(action, rule)
        profile = given.get("profile", usual.profile)
        if profile is not None and not isinstance(profile, str):
            raise ValueError("not a profile")
        return CallDecision(usual.action, profile, code or usual.code)


def _answer(function: Decide, call: IncomingCall) -> object:
    """Call a function, on a thread of its own."""
    answer = function(call)
    if inspect.iscoroutine(answer):
        import asyncio

        return asyncio.run(answer)
    return answer


def functions_folder() -> Path:
    """Return the folder of the user's own functions, which need not exist."""
    return settings_path().parent / "calls"


def load_function(name: str) -> Decide:
    """Return the function `module:function`, or that of an entry point.

    Raises `UsageError` if there is none.
    """
    module, separator, attribute = name.partition(":")
    folder = str(functions_folder())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        if separator:
            found: Any = import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        else:
            points = entry_points(group=ENTRY_POINTS, name=name)
            found = next(iter(points)).load() if points else None
    except Exception as error:  # the user's own code
        raise UsageError(
            f"The function {clean(name)[:80]} cannot be loaded: {type(error).__name__}.",
            f"Python must find its module: put it into {functions_folder()}.",
        ) from None
    if not callable(found):
        raise UsageError(
            f"There is no function {clean(name)[:80]!r}.",
            f"Write module:function, or the name of an entry point in {ENTRY_POINTS}.",
        )
    return cast("Decide", found)

"""Guardrails: functions that read what is said and may stop a reply.

    @guardrail(policy="closed")
    def no_prices(text: str) -> GuardrailTrip | None:
        if "$" in text:
            return GuardrailTrip("it names a price", say="I can't talk about prices.")

A function gets the newest text of one message, at most `MAX_CHARS` characters, as often as it
grows. It returns a `GuardrailTrip`, a reason as text, True, or None (False, "") for no objection. A
coroutine function runs on the event loop, any other function on a daemon thread.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, overload

from voicechat.core.guardrail import (
    DEADLINE_S,
    GuardrailPolicy,
    GuardrailSide,
    GuardrailSpec,
    GuardrailTrip,
)
from voicechat.core.text import clean
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.process_sandbox import Access

Check = Callable[[str], Any]

MAX_DEADLINE_S = 10.0
"""Longest deadline of a check in seconds: a reply that waits longer counts as hanging."""

_NAME = re.compile(r"[\w][\w .-]{0,39}")
_FIELDS = ("reason", "say", "instructions")


class GuardrailFailed(Exception):
    """The reason that a check has no result, as the end of a sentence about the guardrail."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A guardrail with its function. Make it with `guardrail`."""

    spec: GuardrailSpec
    check: Callable[[str], Awaitable[GuardrailTrip | None]] = field(compare=False)
    """Checks a text. Raises `GuardrailFailed`, or anything for a broken function."""
    access: Access = "files"
    """What the process of a plugin may reach."""


@overload
def guardrail(function: Check, /) -> Guardrail: ...


@overload
def guardrail(
    *,
    policy: GuardrailPolicy | str = "open",
    deadline: float = DEADLINE_S,
    watches: GuardrailSide | str = "assistant",
    name: str = "",
    access: Access = "files",
) -> Callable[[Check], Guardrail]: ...


def guardrail(
    function: Check | None = None,
    /,
    *,
    policy: GuardrailPolicy | str = "open",
    deadline: float = DEADLINE_S,
    watches: GuardrailSide | str = "assistant",
    name: str = "",
    access: Access = "files",
) -> Guardrail | Callable[[Check], Guardrail]:
    """Make a guardrail of a function; a decorator with or without parentheses.

    policy: "open" or "closed", what happens to words whose check is late or fails; with "closed",
    all words wait for their check. deadline: seconds for one check, at most `MAX_DEADLINE_S`.
    watches: "assistant", "user" or "both". name: replaces the function's name. access: what a
    plugin may reach besides files: `network`, or `all` for no sandbox.
    Raises `TypeError` for something that cannot be called, `ValueError` for other wrong values.
    """
    if policy not in list(GuardrailPolicy):
        raise ValueError(f"policy must be open or closed, not {policy!r}.")
    if watches not in list(GuardrailSide):
        raise ValueError(f"watches must be one of {', '.join(GuardrailSide)}, not {watches!r}.")
    if access not in get_args(Access):
        raise ValueError(f"access must be one of {', '.join(get_args(Access))}, not {access!r}.")
    is_number = isinstance(deadline, (int, float)) and not isinstance(deadline, bool)
    if not (is_number and 0 < deadline <= MAX_DEADLINE_S):
        text = f"deadline must be a number of seconds up to {MAX_DEADLINE_S:g}, not {deadline!r}."
        raise ValueError(text)

    def make(function: Check) -> Guardrail:
        if not callable(function):
            raise TypeError(f"guardrail makes a guardrail of a function, not of {function!r}.")
        called = name or getattr(function, "__name__", "")
        if not _NAME.fullmatch(called) or clean(called) != called:
            raise ValueError(f"{called!r} cannot be the name of a guardrail. Set it with name=.")
        spec = GuardrailSpec(
            called, GuardrailPolicy(policy), float(deadline), GuardrailSide(watches)
        )
        return Guardrail(spec, _Runner(function, spec.deadline_s).check, access)

    return make if function is None else make(function)


class _Runner:
    """Runs a function: on the loop, or on one thread at a time."""

    def __init__(self, function: Check, deadline_s: float) -> None:
        self._function = function
        self._deadline_s = deadline_s
        self._is_busy = False

    async def check(self, text: str) -> GuardrailTrip | None:
        if inspect.iscoroutinefunction(self._function):
            return trip_of(await self._function(text))
        if self._is_busy:
            raise GuardrailFailed("is still busy with an earlier text")
        self._is_busy = True
        found = await call_with_deadline(lambda: self._run(text), self._deadline_s)
        return trip_of(await found if inspect.isawaitable(found) else found)

    def _run(self, text: str) -> object:
        try:
            return self._function(text)
        except (SystemExit, KeyboardInterrupt):
            raise GuardrailFailed("tried to end the program") from None
        finally:
            self._is_busy = False


def trip_of(found: object) -> GuardrailTrip | None:
    """Return what a function decided. Raises `GuardrailFailed` for something else."""
    if found is None or found is False or found == "":
        return None
    if found is True:
        return GuardrailTrip()
    if isinstance(found, str):
        return GuardrailTrip(found)
    if isinstance(found, GuardrailTrip) and all(
        isinstance(getattr(found, each), str) for each in _FIELDS
    ):
        return found
    raise GuardrailFailed(f"returned {type(found).__name__}, not a GuardrailTrip, a text or None")


def trip_fields(trip: GuardrailTrip | None) -> dict[str, str] | None:
    """Return a trip as JSON fields."""
    return None if trip is None else {each: getattr(trip, each) for each in _FIELDS}


def trip_from(fields: object) -> GuardrailTrip | None:
    """Return the trip of JSON fields; those that do not fit are empty."""
    if not isinstance(fields, Mapping):
        return None
    return GuardrailTrip(*(clean(str(fields.get(each, "")))[:4_000] for each in _FIELDS))

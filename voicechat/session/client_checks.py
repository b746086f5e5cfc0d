"""Checks of what a program passes to the Python API, and error messages in its words.

A wrong type raises `TypeError`, a wrong value `UsageError`. Both name the parameter and what to
pass instead. The layers below name options of the command; `in_api_words` names the parameters.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from voicechat.config.options import SETTINGS
from voicechat.errors import KeyMissing, UsageError, VoicechatError

if TYPE_CHECKING:
    from voicechat.tools.guardrails import Guardrail

_CARD_METHODS = ("open", "play", "end_item", "stop", "close")

_OPTIONS = {setting.flag: setting.name for setting in SETTINGS.values()}
_DEVICES = {"input_device": "Devices.input", "output_device": "Devices.output"}
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)(?: (local\b|[\w.-]+/[\w./-]*\w))?")
_SLASH_COMMAND = re.compile(r"\bType (?=/[a-z])")
_SET_KEY = re.compile(r"^Set (?=[A-Z])")


def api_words(text: str) -> str:
    """A message with the parameters of the API in place of options and slash commands."""
    return _SLASH_COMMAND.sub("Run voicechat and type ", _OPTION.sub(_parameter, text))


def _parameter(found: re.Match[str]) -> str:
    option, value = found[1], found[2]
    name = _OPTIONS.get(option)
    if name is None:
        return found[0]
    name = _DEVICES.get(name, name)
    if option.startswith("--no-"):
        return f"{name}=False"
    return f'{name}="{value}"' if value else name


def in_api_words(error: VoicechatError) -> VoicechatError:
    """Reword the message and the hint of an error; returns the same error."""
    error.message, error.hint = api_words(error.message), api_words(error.hint)
    if isinstance(error, KeyMissing):
        error.hint = _SET_KEY.sub("Pass api_key, set ", error.hint)
    error.args = (error.message,)
    return error


@contextmanager
def rewording() -> Iterator[None]:
    """Reword every `VoicechatError` that the block raises."""
    try:
        yield
    except VoicechatError as error:
        in_api_words(error)
        raise


def shown(value: object) -> str:
    """A short `repr` of a value for a message."""
    return reprlib.repr(value)


def check_type(name: str, value: object, *kinds: type, secret: bool = False) -> None:
    """Raise `TypeError` unless the value has one of these types. A bool is not a number."""
    if isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool)):
        return
    *most, last = (kind.__name__ for kind in kinds)
    wanted = f"{', '.join(most)} or {last}" if most else last
    given = type(value).__name__ if secret else shown(value)
    raise TypeError(f"{name} must be {wanted}, not {given}.")


def check_types(values: Mapping[str, object], kinds: Mapping[str, type]) -> None:
    """Raise `TypeError` for the first value that is neither None nor of its type."""
    for name, kind in kinds.items():
        if values[name] is not None:
            check_type(name, values[name], kind, secret=name == "api_key")


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Raise `UsageError` unless the value is one of the choices."""
    listed = tuple(choices)
    if value not in listed:
        words = " or ".join(f'"{each}"' for each in listed)
        raise UsageError(f"{name} must be {words}, not {shown(value)}.")


def check_pcm(name: str, pcm: object) -> None:
    """Raise `TypeError` unless this is bytes, and `UsageError` for half a sample."""
    check_type(name, pcm, bytes, bytearray, memoryview)
    size = memoryview(cast("bytes", pcm)).nbytes
    if size % 2:
        raise UsageError(
            f"{name} has an odd number of bytes ({size}); a PCM16 sample has two.",
            "Pass whole samples.",
        )


def check_position(ms: object) -> None:
    """Raise `TypeError` unless this is a number, and `UsageError` unless it is 0 or more."""
    check_type("ms", ms, float, int)
    if not 0 <= cast("float", ms) < math.inf:
        raise UsageError(f"ms must be 0 or more, not {ms}.", "Pass the milliseconds in all.")


def check_card(audio: object) -> None:
    """Raise `TypeError` unless the object has the methods of a sound card."""
    if isinstance(audio, type):
        raise TypeError(f"audio must be an object, not a class; pass {audio.__name__}().")
    missing = [name for name in _CARD_METHODS if not callable(getattr(audio, name, None))]
    if missing:
        raise TypeError(
            "audio must be None, voicechat.Devices or an object like voicechat.SoundCard;"
            f" {shown(audio)} has no method {', '.join(missing)}."
        )


def check_approve(approve: object) -> None:
    """Raise `TypeError` unless this is a function of one argument."""
    if not callable(approve):
        raise TypeError(
            f"approve must be a function that takes a voicechat.Approval, not {shown(approve)}."
        )
    try:
        signature = inspect.signature(approve)
    except ValueError:  # some functions written in C have none
        return
    try:
        signature.bind(None)
    except TypeError:
        raise TypeError(
            f"approve must take one argument, a voicechat.Approval; its signature is {signature}."
        ) from None


def check_tool_list(tools: object) -> None:
    """Raise `TypeError` unless this is a list of tools rather than one tool or another object."""
    if isinstance(tools, Iterable) and not isinstance(tools, (str, bytes, Mapping)):
        return
    spec = getattr(tools, "spec", None)
    name = spec.name if spec is not None else getattr(tools, "__name__", "")
    example = f'["{tools}"]' if isinstance(tools, str) else f"[{name}]"
    hint = f"; pass {example}" if isinstance(tools, str) or name else ""
    raise TypeError(f"tools must be a list of tools, not {type(tools).__name__}{hint}.")


def check_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Raise `UsageError` unless the caller runs on this event loop."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if running is not loop:
        raise UsageError(
            "This session belongs to another event loop.",
            "From another thread, call it with asyncio.run_coroutine_threadsafe"
            " or loop.call_soon_threadsafe.",
        )


def check_guardrails(found: object) -> tuple[Guardrail, ...]:
    """Return guardrails. Raises `TypeError` for anything else."""
    from voicechat.tools.guardrails import Guardrail

    guardrails = tuple(found) if isinstance(found, Iterable) else (found,)
    for each in guardrails:
        if not isinstance(each, Guardrail):
            raise TypeError(
                f"guardrails must be guardrails, not {shown(each)}."
                " Write @voicechat.guardrail above a function."
            )
    return guardrails


def check_aside(instructions: object, max_tokens: object, deadline: object) -> None:
    """Raise `TypeError` or `UsageError` for parameters of `ask_aside` that cannot be."""
    check_type("instructions", instructions, str)
    if not str(instructions).strip():
        raise UsageError("instructions is an empty text.", "Write what the model is to do.")
    if max_tokens is not None and (type(max_tokens) is not int or max_tokens < 1):
        raise UsageError(f"max_tokens is {shown(max_tokens)}.", "Pass a whole number above 0.")
    is_number = isinstance(deadline, (int, float)) and not isinstance(deadline, bool)
    if not (is_number and 0 < cast("float", deadline) <= 600):
        raise UsageError(f"deadline is {shown(deadline)}.", "Pass seconds, from 0 to 600.")

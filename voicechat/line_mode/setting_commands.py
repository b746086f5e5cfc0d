"""Slash commands for the model, its voice, its instructions and tools, and the screen."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voicechat.core.items import Item, Role
from voicechat.core.settings import SPEED_RANGE, Permission
from voicechat.core.text import one_of
from voicechat.errors import UsageError, VoicechatError
from voicechat.system import desktop_clipboard

if TYPE_CHECKING:
    from voicechat.core.settings import ToolSpec
    from voicechat.session.session import Session


_MAX_VOICE_NAME = 100
_MAX_CHOICES = 20
"""Most names in a hint."""


def nearest(name: str, choices: Sequence[str]) -> str:
    """Return a hint with the choices that are most like the name, or with the first choices."""
    written = {choice.lower(): choice for choice in choices}
    close = [written[each] for each in difflib.get_close_matches(name.lower(), written, n=3)]
    if close:
        return f"Did you mean {' or '.join(close)}?"
    more = ", …" if len(choices) > _MAX_CHOICES else ""
    return f"Choose {one_of(choices[:_MAX_CHOICES])}{more}."


def voice(session: Session, name: str) -> str:
    """Show the voice and the choices, or change it."""
    voices = session.voices
    if not name:
        choices = f" {session.model} has {', '.join(voices)}." if voices else ""
        return f"The voice is {session.voice or 'the default'}.{choices}"
    name = {each.lower(): each for each in voices}.get(name.lower(), name)
    if name == "next":
        name = _next_voice(session)
    if not name.isprintable() or len(name) > _MAX_VOICE_NAME:
        raise UsageError("/voice takes the name of a voice.")
    if not session.may_have_voice(name):
        raise UsageError(
            f"{session.model} has no voice {name[:40]!r}."
            f" The voice is still {session.voice or 'the default'}.",
            nearest(name, voices),
        )
    notes = session.change(voice=name)
    return _changed(f"The voice is {name}.", notes)


def _next_voice(session: Session) -> str:
    voices = session.voices
    if len(voices) < 2:
        raise UsageError(f"{session.model} has no other voice.")
    return voices[(voices.index(session.voice) + 1) % len(voices) if session.voice in voices else 1]


def instructions(session: Session, text: str) -> str:
    """Show or change the instructions."""
    if not text:
        return f"The instructions: {session.instructions}"
    return _changed("The instructions are changed.", session.change(instructions=text))


def ask_aside(session: Session, words: str) -> None:
    """Ask the model outside the conversation."""
    if not words:
        raise UsageError("/ask-aside takes a question.")
    session.report_aside(words)


def say(session: Session, text: str) -> None:
    """Speak the text word for word."""
    if not text:
        raise UsageError("/say takes the text to speak.")
    session.say(text)


def speed(session: Session, argument: str) -> str:
    """Show the speaking speed, or change it to a number or by a step."""
    if not argument:
        rate = session.speaking_rate
        return "The speed is 1 (normal)." if rate == 1 else f"The speed is {rate:g} (normal: 1)."
    slowest, fastest = session.capabilities.speed_range or SPEED_RANGE
    rate = _number(argument)
    if argument in _SPEED_STEPS:
        changed = round(session.speaking_rate + _SPEED_STEPS[argument], 2)
        rate = max(slowest, min(fastest, changed))
    if not slowest <= rate <= fastest:
        raise UsageError(
            f"/speed takes faster, slower or a number from {slowest:g} to {fastest:g}; 1 is normal."
        )
    if rate == session.speaking_rate:
        return f"The speed is already {rate:g}."
    return _changed(f"The speed is {rate:g}.", session.change(speed=rate))


_SPEED_STEPS = {"faster": 0.2, "slower": -0.2}


def _number(text: str) -> float:
    """The number, or nan for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _changed(done: str, notes: Sequence[str]) -> str:
    """The sentence about a change, or the notes that say why it has no effect yet."""
    return " ".join(notes) or done


def model(session: Session, name: str) -> str | None:
    """Show the model, or continue with another one."""
    if not name:
        return f"This is {session.model}. /models lists others."
    try:
        session.change_model(name)
    except VoicechatError as error:
        # The catalog names the flag; here the user types the command.
        error.hint = error.hint.replace("--model ", "/model ")
        error.message = f"{error.message} The model is still {session.model}."
        raise
    return f"Continuing with {session.model}."


def tools(session: Session, argument: str) -> str:
    """List the tools of the model by their permission."""
    lines = []
    for permission, title in (
        (Permission.AUTO, "Tools that run at once"),
        (Permission.ASK, "Tools that need your approval"),
    ):
        names = [_spaced(spec) for spec in session.tools if spec.permission is permission]
        if names:
            lines.append(f"{title}: {', '.join(names)}.")
    return "\n".join(lines) or "There are no tools."


def _spaced(spec: ToolSpec) -> str:
    """The name of the tool as words."""
    return " ".join(spec.name.replace("_", " ").split())


def theme(session: Session, name: str) -> str:
    """Show the themes of the screen, or change to one."""
    if not session.themes:
        raise UsageError("There is no screen, so there is no theme.")
    if not name:
        return f"The themes are {', '.join(session.themes)}."
    try:
        session.request_theme(known_theme(session, name))
    except UsageError as error:
        error.message = f"{error.message} The theme is still {session.theme}."
        raise
    return "The theme is changed."


def known_theme(session: Session, name: str) -> str:
    """Return the name of this theme of the screen. Raises `UsageError` if there is none."""
    name = name.lower()
    if name not in session.themes:
        raise UsageError(f"There is no theme {name[:40]!r}.", nearest(name, session.themes))
    return name


def copy(session: Session, argument: str) -> str | None:
    """Copy the last answer to the clipboard."""
    answers = [
        entry.text
        for entry in session.transcript.entries
        if isinstance(entry, Item) and entry.role is Role.ASSISTANT and entry.text.strip()
    ]
    if not answers:
        raise UsageError("There is no answer to copy.")
    if session.themes:
        # The screen can also copy through its terminal.
        session.request_copy(answers[-1])
        return None
    if not desktop_clipboard.copy_blocking(answers[-1]):
        raise UsageError(
            "No program for the clipboard was found.", "Install wl-clipboard or xclip."
        )
    return f"Copied {len(answers[-1]):,} characters."

"""Slash commands for the microphone, the speaker and the turn mode."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from voicechat.errors import UsageError
from voicechat.session.view import MAX_VOLUME

if TYPE_CHECKING:
    from voicechat.session.session import Session

_VOLUME_STEP = 1.25
"""Factor of "up" and "down": 2 dB."""

_SMALLEST_VOLUME = 5
"""Percent; "down" goes no lower, because silence looks like a fault."""

_MAX_DIGITS = 9
_NO_MICROPHONE = "There is no microphone."
_SILENCE_DBFS = -90.0
_FLAG = re.compile(r"(use|device with) --(input|output)-device")
_COMMANDS = {"input": "/microphone", "output": "/speaker"}


def with_commands(hint: str) -> str:
    """Return the hint with the slash commands for a device in place of its start flags."""
    return _FLAG.sub(lambda found: f"{found[1]} {_COMMANDS[found[2]]}", hint)


def volume(session: Session, argument: str) -> str:
    """Show the volume, or set it in percent or by a step."""
    _require_sound(session, "speaker")
    before = session.volume
    if argument in {"up", "down"}:
        if argument == "up":
            changed = max(before + 5, 5 * round(before * _VOLUME_STEP / 5))
        else:
            changed = min(before - 5, 5 * round(before / _VOLUME_STEP / 5))
        session.set_volume(max(_SMALLEST_VOLUME, min(MAX_VOLUME, changed)))
    elif argument:
        number = argument.removesuffix("%").strip()
        if not number.isdecimal() or len(number) > _MAX_DIGITS or int(number) > MAX_VOLUME:
            raise UsageError(f"/volume takes up, down or a number from 0 to {MAX_VOLUME}.")
        session.set_volume(int(number))
    already = "already " if argument and session.volume == before else ""
    return f"The volume is {already}{session.volume} percent."


def levels(session: Session, argument: str) -> str:
    """Show the levels of the microphone and the speaker."""
    _require_sound(session, "sound to measure")
    if session.microphone is None and session.speaker is None:
        return "There is no microphone and no speaker."
    latest = session.loudness
    mic = _level_text(latest.mic, latest.mic_peak)
    if session.microphone is None:
        mic = "not available"
    elif session.muted or not (session.hands_free or session.talking):
        mic = "muted" if session.muted else "closed"
    speaker = _level_text(latest.speaker, latest.speaker_peak)
    speaker = speaker if session.speaker else "not available"
    return f"The microphone is {mic}; the speaker is {speaker}."


def _level_text(level: float, peak: float) -> str:
    """A level and a peak in dBFS as part of a sentence."""
    return "silent" if peak <= _SILENCE_DBFS else f"at {level:.0f} dBFS with a peak of {peak:.0f}"


def mute(session: Session, argument: str) -> str:
    """Mute the microphone."""
    _require_sound(session, "microphone")
    session.set_muted(True)
    hint = session.unmute_hint if session.microphone is not None else _NO_MICROPHONE
    return f"Muted. {hint}"


def unmute(session: Session, argument: str) -> str:
    """Unmute the microphone."""
    _require_sound(session, "microphone")
    session.set_muted(False)
    return _with_microphone_state(session, "Not muted.")


def push_to_talk(session: Session, argument: str) -> str:
    """Switch to push-to-talk."""
    _require_sound(session, "microphone")
    session.set_hands_free(False)
    return _with_microphone_state(session, "Push-to-talk is on.")


def hands_free(session: Session, argument: str) -> str:
    """Switch to turns that end automatically."""
    _require_sound(session, "microphone")
    if session.microphone is None:
        raise UsageError(_NO_MICROPHONE)
    session.set_hands_free(True)
    return "Hands-free is on."


def microphone(session: Session, name: str) -> str:
    """Show the microphone, or open another one."""
    return _device(session, "input", session.microphone, name)


def speaker(session: Session, name: str) -> str:
    """Show the speaker, or open another one."""
    return _device(session, "output", session.speaker, name)


def _device(
    session: Session, kind: Literal["input", "output"], current: str | None, name: str
) -> str:
    noun = "microphone" if kind == "input" else "speaker"
    _require_sound(session, noun)
    if not name:
        return f"The {noun} is {current}." if current else f"There is no {noun}."
    session.use_device(kind, name)
    return (
        f"Opening the {noun} “{name[:40]}”."
        if name != "default"
        else f"Opening the default {noun}."
    )


def _with_microphone_state(session: Session, text: str) -> str:
    """The sentence, and a second one if there is no microphone."""
    return text if session.microphone is not None else f"{text} {_NO_MICROPHONE}"


def _require_sound(session: Session, what: str) -> None:
    if not session.with_sound:
        raise UsageError(f"There is no {what} in a typed chat.", "Start without --text.")

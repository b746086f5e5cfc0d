"""Hints of the conversation screen: what the user can do now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from voicechat.tui.keys import key_name, key_of
from voicechat.tui.widgets.entry_text import QUIET

if TYPE_CHECKING:
    from voicechat.session.session import Session


def greeting(session: Session) -> Content:
    """Return examples of requests, shown in an empty conversation."""
    if session.joins_call:
        return Content("\n").join([
            Content("What both sides say appears here.").stylize(QUIET),
            Content("Enter sends an instruction to the model; Esc silences it.").stylize(QUIET),
            Content("/hangup ends the call. To leave does not end it.").stylize(QUIET),
        ])  # fmt: skip
    verb = "Say or type" if session.with_sound else "Type"
    examples = (
        "what time is it",
        "set a timer for ten minutes",
        "what is 17 times 23",
        "what can you do",
    )
    lines = [Content(f"{verb} something, for example").stylize(QUIET), Content("")]
    lines += [Content(f"“{example}”") for example in examples]
    lines += [Content("")]
    if session.with_sound:
        lines += [Content("Talk over the answer to stop it.").stylize(QUIET)]
    else:
        lines += [Content("Enter sends; Esc stops the answer.").stylize(QUIET)]
    return Content("\n").join(lines)


def why_no_sound_key(session: Session, key: str) -> str:
    """Return why this key of a sound action has no effect now, and what to do."""
    name = key_name(key)
    if not session.with_sound:
        return f"{name} needs sound. Start voicechat without --text to talk."
    if session.microphone is None:
        return f"{name} needs a microphone. Connect one, or type."
    switch = key_of("hands_free")
    return f"{name} is for push-to-talk. In hands-free, just talk, or press {switch} to switch."


def placeholder(session: Session, *, in_console: bool = False) -> str:
    """Return the text of the empty input. in_console: the event console has the focus."""
    if in_console:
        return f"{key_name('escape')} goes back to type a message"
    if session.joins_call:
        return "Type an instruction for the model"
    if not session.with_sound or session.microphone is None:
        return "Type a message"
    if session.muted:
        return f"Type a message, or press {key_of('mute')} to unmute"
    if session.hands_free:
        return "Type a message, or just talk"
    return "Type a message, or press Space to talk"

"""When a slash command makes sense, and the values that its argument can take."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from voicechat.core.effects import Floor
from voicechat.core.text import clean
from voicechat.errors import VoicechatError

if TYPE_CHECKING:
    from voicechat.session.session import Session

MAX_FILES = 2_000
"""Most entries of a folder that are read."""
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".heic", ".heif")
_BUSY = {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}


# -------------------------------------------------------------------- when a command makes sense


def always(session: Session) -> bool:
    """Return True."""
    return True


def has_call(session: Session) -> bool:
    """Return True if the session controls a phone call."""
    return session.joins_call


def is_busy(session: Session) -> bool:
    """Return True while there is something to stop."""
    return session.floor in _BUSY or bool(session.asking)


def is_asking(session: Session) -> bool:
    """Return True while a tool call waits for a decision."""
    return bool(session.asking)


def has_questions(session: Session) -> bool:
    """Return True while an MCP server waits for an answer of the user."""
    return bool(session.questions)


def has_waiting_servers(session: Session) -> bool:
    """Return True while an MCP server waits for permission to start."""
    return bool(session.waiting_servers)


def is_over_budget(session: Session) -> bool:
    """Return True while a budget is used up."""
    return session.budget_used_up


def can_say(session: Session) -> bool:
    """Return True if the model can speak a given text."""
    return session.capabilities.verbatim


def can_ask_aside(session: Session) -> bool:
    """Return True if the model answers outside the conversation."""
    return session.capabilities.out_of_band


def has_entries(session: Session) -> bool:
    """Return True if the conversation is not empty."""
    return bool(session.transcript.entries)


def has_sound(session: Session) -> bool:
    """Return True if the session uses sound devices."""
    return session.with_sound


def has_microphone(session: Session) -> bool:
    """Return True if a microphone is open."""
    return session.with_sound and session.microphone is not None


def can_mute(session: Session) -> bool:
    """Return True if the microphone is on."""
    return has_microphone(session) and not session.muted


def can_unmute(session: Session) -> bool:
    """Return True if the microphone is muted."""
    return session.with_sound and session.muted


def can_go_hands_free(session: Session) -> bool:
    """Return True in push-to-talk."""
    return has_microphone(session) and not session.hands_free


def can_push_to_talk(session: Session) -> bool:
    """Return True in hands-free."""
    return has_microphone(session) and session.hands_free


def has_screen(session: Session) -> bool:
    """Return True if there is a screen with themes."""
    return bool(session.themes)


# -------------------------------------------------------------------- arguments


Choices = Callable[["Session", str], Sequence[str]]
"""A function that offers values for an argument that has been typed in part."""


def fixed(*values: str) -> Choices:
    """Return a function that offers these values."""
    return lambda session, argument: values


def no_values(session: Session, argument: str) -> Sequence[str]:
    """Offer nothing."""
    return ()


def voices(session: Session, argument: str) -> Sequence[str]:
    """Offer the voices of the model."""
    return (*session.voices, "next") if len(session.voices) > 1 else session.voices


def themes(session: Session, argument: str) -> Sequence[str]:
    """Offer the themes of the screen."""
    return session.themes


def waiting_calls(session: Session, argument: str) -> Sequence[str]:
    """Offer the numbers of the calls that wait for a decision."""
    return [str(call.number) for call in session.asking]


def waiting_questions(session: Session, argument: str) -> Sequence[str]:
    """Offer the numbers of the questions that wait for an answer."""
    return [str(question.number) for question in session.questions]


def waiting_servers(session: Session, argument: str) -> Sequence[str]:
    """Offer the MCP servers that wait for permission to start."""
    return session.waiting_servers


def models(session: Session, argument: str) -> Sequence[str]:
    """Offer the models whose key is set. Reads the settings file."""
    from voicechat.session.model_list import list_models

    try:
        listed = list_models()
    except VoicechatError:
        return ()
    return [each.name for each in listed if each.purpose == "conversation" and each.has_key]


def image_files(session: Session, argument: str) -> Sequence[str]:
    """Offer the folders and images whose path begins like the argument. Reads the disk."""
    folder, _, start = argument.rpartition("/")
    prefix = f"{folder}/" if "/" in argument else ""
    place = os.path.expanduser(prefix) or "."
    found = []
    try:
        with os.scandir(place) as entries:
            for entry in islice(entries, MAX_FILES):
                name = entry.name
                if (name.startswith(".") and not start.startswith(".")) or clean(name) != name:
                    continue
                if entry.is_dir():
                    found.append(f"{prefix}{name}/")
                elif name.lower().endswith(_IMAGES):
                    found.append(f"{prefix}{name}")
    except (OSError, ValueError):
        return ()
    return sorted(found)

"""What the built-in mind can do: one function per intent, grouped by subject.

A skill gets an `Ask` and gives the sentence to be said. Skills never raise for what a person
may say; `VoicechatError` from the disk is told to the person by the mind.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.server.engines.skills import (
    chance,
    clock,
    counting,
    lists,
    memory,
    numbers,
    ringing,
    talk,
)
from voicechat.server.engines.skills.ask import Ask, Skill

SKILLS: Mapping[str, Skill] = (
    clock.SKILLS
    | ringing.SKILLS
    | numbers.SKILLS
    | lists.SKILLS
    | chance.SKILLS
    | memory.SKILLS
    | counting.SKILLS
    | talk.SKILLS
)
"""The skill of every intent."""
BLOCKING = frozenset({"convert", "greet", *lists.SKILLS, *memory.SKILLS})
"""Intents whose skills touch the disk or load something: to be run beside the event loop."""

__all__ = ["BLOCKING", "SKILLS", "Ask", "Skill"]

"""What the built-in mind can do: one function per intent, grouped by subject.

A skill gets an `Ask` and gives the sentence to be said. Skills never raise for what a person
may say; `VoicechatError` from the disk is told to the person by the mind.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.server.assistant.answers import (
    chance_answers,
    clock_answers,
    counting_answers,
    list_answers,
    memory_answers,
    number_answers,
    small_talk,
    timer_answers,
)
from voicechat.server.assistant.answers.assistant_request import Ask, Skill

SKILLS: Mapping[str, Skill] = (
    clock_answers.SKILLS
    | timer_answers.SKILLS
    | number_answers.SKILLS
    | list_answers.SKILLS
    | chance_answers.SKILLS
    | memory_answers.SKILLS
    | counting_answers.SKILLS
    | small_talk.SKILLS
)
"""The skill of every intent."""
BLOCKING = frozenset({"convert", "greet", *list_answers.SKILLS, *memory_answers.SKILLS})
"""Intents whose skills touch the disk or load something: to be run beside the event loop."""

__all__ = ["BLOCKING", "SKILLS", "Ask", "Skill"]

"""Lists and notes, kept between runs."""

from __future__ import annotations

from voicechat.server.assistant.answers.assistant_request import Skill
from voicechat.skills import lists

SKILLS: dict[str, Skill] = {
    "list_add": lambda ask: lists.add(ask.notebook, ask.text("item"), ask.text("list")),
    "list_read": lambda ask: lists.read(ask.notebook, ask.text("list")),
    "list_remove": lambda ask: lists.remove(ask.notebook, ask.text("item"), ask.text("list")),
    "list_clear": lambda ask: lists.clear(ask.notebook, ask.text("list")),
    "lists": lambda ask: lists.names(ask.notebook),
    "note_add": lambda ask: lists.add_note(ask.notebook, ask.text("text")),
    "note_read": lambda ask: lists.read_notes(ask.notebook),
    "note_clear": lambda ask: lists.clear_notes(ask.notebook),
    "note_remove": lambda ask: lists.drop_note(ask.notebook),
}

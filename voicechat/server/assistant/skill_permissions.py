"""Permissions of the offline assistant's own skills.

A skill does the same as a built-in tool, so the permission `never` of that tool applies to both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

TOOLS: Mapping[str, str] = {
    "time": "current_time",
    "date": "current_time",
    "day": "current_time",
    "timer_set": "set_timer",
    "alarm_set": "set_alarm",
    "remind": "set_reminder",
    "timer_cancel": "cancel_timer",
    "timer_change": "change_timer",
    "timer_left": "list_timers",
    "timer_list": "list_timers",
    "calculate": "calculate",
    "convert": "convert_units",
    "note_add": "add_note",
    "note_read": "read_notes",
    "note_clear": "delete_note",
    "note_remove": "delete_note",
    "list_add": "add_to_list",
    "list_read": "read_list",
    "list_has": "read_list",
    "lists": "read_list",
    "list_remove": "remove_from_list",
    "list_clear": "clear_list",
    "undo": "undo_last_change",
}
"""The built-in tool that does the same as the skill of an intent."""


def refusal(intent: str, forbidden_tools: Collection[str]) -> str:
    """Return the sentence that refuses an intent; empty when its skill may run."""
    tool = TOOLS.get(intent, "")
    if tool not in forbidden_tools:
        return ""
    return f"I can't do that: your settings never allow the tool {tool.replace('_', ' ')}."

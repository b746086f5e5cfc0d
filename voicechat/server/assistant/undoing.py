"""Undo of the last change, and the correction of the last request."""

from __future__ import annotations

import uuid

from voicechat.errors import VoicechatError
from voicechat.server.assistant import corrections, intents, tool_selection
from voicechat.server.assistant.conversation_messages import user_texts
from voicechat.server.assistant.dialogue_state import DialogueState, ToolChange
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.tool_selection import SelectedTool
from voicechat.server.engine_protocols import AssistantRequest, Call
from voicechat.skills.undo_stack import NOTHING_TO_UNDO, undone

TOOL = "undo_last_change"
"""The client's tool that undoes the last change."""
REQUESTS = ("undo", "undo that", "undo it", "undo this")
"""Requests that recognizers often confuse with other words."""


def correction(request: AssistantRequest, state: DialogueState, text: str) -> str:
    """Return the corrected last request; empty if the text is not a correction of it."""
    last = state.last
    _, previous = user_texts(request.messages)
    if last is None or not text or request.tool_choice != "auto" or last.said != previous:
        return ""
    if last.meaning is None and not last.arguments:
        return ""
    allow_free = intents.parse(text) is not None or not tool_selection.names_one(
        text, request.tools
    )
    return corrections.corrected(text, last.text, last.meaning, last.arguments, allow_free) or ""


def request_after_undo(text: str) -> str:
    """Return the request in "undo that and …"; empty if there is none."""
    for joint in (" and then ", " and ", ". ", ", "):
        head, _, tail = text.partition(joint)
        meaning = intents.parse(head)
        if meaning is not None and meaning.intent == "undo" and intents.parse_all(tail):
            return tail
    return ""


def undoes(meaning: Meaning | None, state: DialogueState) -> bool:
    """Return True if the user wants to undo. Some phrases mean it only just after a change."""
    if meaning is None or meaning.intent != "undo":
        return False
    return "recent" not in meaning.values or state.last is None or state.last.changes > 0


def is_likely(state: DialogueState) -> bool:
    """Return True if the last request made a change that the user may undo.

    After an introduction, the user may say "and you?".
    """
    last = state.last
    return (
        last is not None
        and last.changes > 0
        and (last.meaning is None or last.meaning.intent != "name_set")
    )


async def undo(request: AssistantRequest, state: DialogueState) -> tuple[str, Call | None]:
    """Undo the last change. Return the sentence to say, or the call of the client's undo tool."""
    if not state.changes:
        return NOTHING_TO_UNDO, None
    change = state.changes.pop()
    if isinstance(change, ToolChange):
        offered = any(tool.name == TOOL for tool in request.tools)
        if change.name in tool_selection.CHANGING_TOOLS and offered:
            return "", Call(_call_id(), TOOL, "{}")
        return f"I can't undo the tool {change.name.replace('_', ' ')}.", None
    try:
        return await undone(change), None
    except VoicechatError as error:
        return error.message, None


def recorded_call(selected: SelectedTool, state: DialogueState) -> Call:
    """Return the call of the tool. Record the change that it makes."""
    call = Call(_call_id(), selected.name, selected.arguments)
    last = state.last
    assert last is not None
    meaning = last.meaning
    if meaning is None:
        last.arguments = selected.arguments
    if meaning.intent in intents.CHANGING if meaning else tool_selection.may_change(selected.name):
        state.record(ToolChange(call.call_id, call.name))
    return call


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"

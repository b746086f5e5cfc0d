"""Undo of the last change, and the correction of the last request."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

from voicechat.errors import VoicechatError
from voicechat.server.assistant import corrections, intents, tool_selection
from voicechat.server.assistant.conversation_messages import user_texts
from voicechat.server.assistant.dialogue_state import (
    DialogueState,
    LastRequest,
    Revision,
    ToolChange,
)
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.tool_selection import SelectedTool
from voicechat.server.engine_protocols import AssistantRequest, Call
from voicechat.skills.undo_stack import NOTHING_TO_UNDO, undone
from voicechat.skills.wording import sentence

TOOL = "undo_last_change"
"""The client's tool that undoes the last change."""
REQUESTS = ("undo", "undo that", "undo it", "undo this")
"""Requests that recognizers often confuse with other words."""
_NOT_UNDONE: Mapping[str, str] = dict.fromkeys(
    ("control_app", "control_app_with_approval"),
    "I can't undo changes to the app. Ask for the setting that you want.",
)
"""What to say about tools of the app that cannot be undone."""
_SHOWING = frozenset(
    ["help", "levels", "speed", "summary", "theme", "tools", "usage", "voice", "volume"]
)
"""Commands of the app that change nothing without an argument."""
_RINGING = frozenset({"timer_set", "alarm_set", "remind"})
"""Intents whose requests can be corrected later, while they wait to ring."""


def correction(request: AssistantRequest, state: DialogueState, text: str) -> Revision | None:
    """Return the corrected request; None if the text is not a correction.

    A timer, alarm or reminder can also be corrected after later requests that changed nothing.
    """
    _, previous = user_texts(request.messages)
    if state.last is None or not text or request.tool_choice != "auto":
        return None
    if state.last.said != previous:
        return None
    names_tool = intents.parse(text) is None and tool_selection.names_one(text, request.tools)
    for last, is_newest in _correctable(state):
        made = corrections.corrected(
            text,
            last.text,
            last.meaning,
            last.arguments,
            allow_free=is_newest and not names_tool,
            only_explicit=not is_newest,
        )
        if made:
            return _revision(made, last)
    return None


def _revision(text: str, last: LastRequest) -> Revision:
    if not last.changes:
        return Revision(text)
    earlier = last.revision.replaces if last.revision is not None else None
    return Revision(text, Revision(last.text, earlier, "I changed it back."), "I changed it.")


def _correctable(state: DialogueState) -> Iterator[tuple[LastRequest, bool]]:
    """Yield the requests that the user may correct, and True for the last one."""
    last = state.last
    if last is not None and (last.meaning is not None or last.arguments):
        yield last, True
    before = state.changes[-1].request if state.changes else None
    if before is None or before is last or before.meaning is None:
        return
    if before.meaning.intent in _RINGING:
        yield before, False


def request_after_undo(text: str) -> Revision | None:
    """Return the request in "undo that and …"; None if there is none."""
    for joint in (" and then ", " and ", ". ", ", "):
        head, _, tail = text.partition(joint)
        meaning = intents.parse(head)
        if meaning is not None and meaning.intent == "undo" and intents.parse_all(tail):
            return Revision(tail)
    return None


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


async def undo(
    request: AssistantRequest, state: DialogueState
) -> tuple[str, Call | None, Revision | None]:
    """Undo the last change.

    Return the sentence to say, or the call of the client's undo tool; and the request that was
    valid before, if the change was a correction of it.
    """
    if not state.changes:
        return NOTHING_TO_UNDO, None, None
    change = state.changes.pop()
    revision = change.request.revision if change.request is not None else None
    before = revision.replaces if revision is not None else None
    inverse = change.inverse
    if isinstance(inverse, ToolChange):
        offered = any(tool.name == TOOL for tool in request.tools)
        name = inverse.name
        if name in tool_selection.CHANGING_TOOLS and offered:
            return "", Call(_call_id(), TOOL, "{}"), before
        shown = name.replace("_", " ")
        return _NOT_UNDONE.get(name, f"I can't undo the tool {shown}."), None, None
    try:
        return await undone(inverse), None, before
    except VoicechatError as error:
        return error.message, None, None


def introduced(state: DialogueState, words: str) -> str:
    """Return the answer to a request, after a sentence that tells what it replaces."""
    last = state.last
    if last is None or last.revision is None or last.meaning is None or not last.changes:
        return words
    opening = last.revision.opening
    if not opening or last.meaning.intent not in _RINGING | {"list_add"}:
        return words
    return f"{opening} {sentence(words.removeprefix('Okay, '))}"


def recorded_call(selected: SelectedTool, state: DialogueState) -> Call:
    """Return the call of the tool. Record the change that it makes."""
    call = Call(_call_id(), selected.name, selected.arguments)
    last = state.last
    assert last is not None
    meaning = last.meaning
    if meaning is None:
        last.arguments = selected.arguments
    if _changes(meaning) if meaning else tool_selection.may_change(selected.name):
        state.record(ToolChange(call.call_id, call.name))
    return call


def _changes(meaning: Meaning) -> bool:
    """Return True if the request changes something, which an undo takes back."""
    values = meaning.values
    shows = values.get("command") in _SHOWING and "argument" not in values
    return meaning.intent in intents.CHANGING and not shows


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"

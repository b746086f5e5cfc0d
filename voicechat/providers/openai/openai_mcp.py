"""MCP as servers of the OpenAI Realtime family run it: lists of tools, calls, requests for leave.

The wire tells a call in pieces, by several frames and items; each event here says all that is
known of it so far. Each reader takes the memory of the connection and a frame whose fields may
hold anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from voicechat.core.events import Event, RemoteApproval, RemoteCall, RemoteTools
from voicechat.core.items import ToolState
from voicechat.providers.json_fields import fields, several, word, words
from voicechat.providers.openai.openai_frames import Frame, Memory

Message = dict[str, object]

UNLISTED = "the server did not give them"
"""Why a list of tools failed, where the frame does not say it."""


# --------------------------------------------------------------------------- items


def of_item(
    memory: Memory, item: Message, response_id: str = "", done: bool = False
) -> Iterable[Event]:
    """What an item says of MCP that was not known yet. With `done` the item is complete."""
    read = _ITEMS.get(words(item.get("type")))
    if read is None:
        return
    known = memory.item(words(item.get("id")))
    before = (known.remote_call, known.remote_tools)
    event = read(memory, item, response_id, done)
    if event is not None and event not in before:
        yield event


def _list_of(memory: Memory, item: Message, response_id: str, done: bool) -> Event | None:
    known = _tools(memory, words(item.get("id")))
    error = _error(item)
    return _keep_tools(
        memory,
        replace(
            known,
            server=words(item.get("server_label")) or known.server,
            tools=tuple(
                words(fields(tool).get("name")) for tool in several(item.get("tools"))
            ) or known.tools,
            done=known.done or error is not None,
            error=error or known.error,
        ),
    )  # fmt: skip


def _call_of(memory: Memory, item: Message, response_id: str, done: bool) -> Event | None:
    known = _call(memory, words(item.get("id")))
    error, output = _error(item), word(item.get("output"))
    state = known.state
    if error is not None or item.get("status") == "incomplete":
        state = ToolState.FAILED
    elif output is not None or (done and not state.final):
        state = ToolState.DONE
    return _keep_call(
        memory,
        replace(
            known,
            response_id=response_id or known.response_id,
            server=words(item.get("server_label")) or known.server,
            name=words(item.get("name")) or known.name,
            arguments=words(item.get("arguments")) or known.arguments,
            state=state,
            output=output or known.output,
            error=error or known.error,
            approval_id=word(item.get("approval_request_id")) or known.approval_id,
        ),
    )


def _approval_of(memory: Memory, item: Message, response_id: str, done: bool) -> Event | None:
    item_id = words(item.get("id"))
    asked = memory.item(item_id)
    if not done or asked.asked:
        return None
    asked.asked = True
    return RemoteApproval(
        item_id,
        response_id or memory.running,
        words(item.get("server_label")),
        words(item.get("name")),
        words(item.get("arguments")),
    )


_ITEMS: dict[str, Callable[[Memory, Message, str, bool], Event | None]] = {
    "mcp_list_tools": _list_of,
    "mcp_call": _call_of,
    "mcp_approval_request": _approval_of,
}


def _error(item: Message) -> str | None:
    """Why it failed, in the server's words."""
    error = item.get("error")
    told = fields(error)
    return word(error) or word(told.get("message")) or word(told.get("type"))


# --------------------------------------------------------------------------- frames


def list_progress(memory: Memory, frame: Frame) -> Iterable[Event]:
    """A list of tools is being fetched, is there, or failed: the wire type's last word says it."""
    known = _tools(memory, words(frame.item_id))
    ending = words(frame.type).rpartition(".")[2]
    error = (known.error or UNLISTED) if ending == "failed" else None
    yield _keep_tools(memory, replace(known, done=ending != "in_progress", error=error))


def arguments_piece(memory: Memory, frame: Frame) -> Iterable[Event]:
    """A piece of a call's arguments."""
    item_id = words(frame.item_id)
    known = _call(memory, item_id)
    if text := memory.item(item_id).stream("arguments").piece(frame.delta):
        yield _further(memory, frame, replace(known, arguments=known.arguments + text))


def arguments_done(memory: Memory, frame: Frame) -> Iterable[Event]:
    """The whole of a call's arguments."""
    known = _call(memory, words(frame.item_id))
    whole = words(frame.arguments) or known.arguments
    yield _further(memory, frame, replace(known, arguments=whole))


def call_progress(memory: Memory, frame: Frame) -> Iterable[Event]:
    """A call runs, was done, or failed: the wire type's last word says it."""
    known = _call(memory, words(frame.item_id))
    state = known.state
    if not state.final:
        state = _STATES.get(words(frame.type).rpartition(".")[2], state)
    yield _further(memory, frame, replace(known, state=state))


_STATES = {
    "in_progress": ToolState.RUNNING,
    "completed": ToolState.DONE,
    "failed": ToolState.FAILED,
}


# --------------------------------------------------------------------------- memory


def _tools(memory: Memory, item_id: str) -> RemoteTools:
    return memory.item(item_id).remote_tools or RemoteTools(item_id)


def _keep_tools(memory: Memory, event: RemoteTools) -> RemoteTools:
    memory.item(event.item_id).remote_tools = event
    return event


def _call(memory: Memory, item_id: str) -> RemoteCall:
    return memory.item(item_id).remote_call or RemoteCall(item_id)


def _further(memory: Memory, frame: Frame, event: RemoteCall) -> RemoteCall:
    response_id = words(frame.response_id) or event.response_id or memory.running
    return _keep_call(memory, replace(event, response_id=response_id))


def _keep_call(memory: Memory, event: RemoteCall) -> RemoteCall:
    memory.item(event.item_id).remote_call = event
    return event

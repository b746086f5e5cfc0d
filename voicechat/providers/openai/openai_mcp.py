"""Server events about MCP, which the server runs itself: lists of tools, calls, approvals.

The wire reports a call by several frames and items; each event here holds everything known of it
so far. Each reader takes the state of the connection and a frame whose fields may hold anything.

Sources: OpenAI Realtime API reference, "Server events", `mcp_list_tools.*` and
`response.mcp_call.*`; guide "Realtime with tools", remote MCP servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from voicechat.core.events import Event, RemoteApproval, RemoteCall, RemoteTools
from voicechat.core.items import ToolState
from voicechat.providers.json_fields import as_list, as_text, fields, text_or_none
from voicechat.providers.openai.openai_frames import Frame, OpenAIState

Message = dict[str, object]

UNLISTED = "the server did not give them"
"""Reason why a list of tools failed, if the frame gives none."""


# --------------------------------------------------------------------------- items


def of_item(
    state: OpenAIState, item: Message, response_id: str = "", done: bool = False
) -> Iterable[Event]:
    """Read what an item adds about MCP. With `done` the item is complete."""
    read = _ITEMS.get(as_text(item.get("type")))
    if read is None:
        return
    known = state.item(as_text(item.get("id")))
    before = (known.remote_call, known.remote_tools)
    event = read(state, item, response_id, done)
    if event is not None and event not in before:
        yield event


def _list_of(state: OpenAIState, item: Message, response_id: str, done: bool) -> Event | None:
    known = _tools(state, as_text(item.get("id")))
    error = _error(item)
    return _keep_tools(
        state,
        replace(
            known,
            server=as_text(item.get("server_label")) or known.server,
            tools=tuple(
                as_text(fields(tool).get("name")) for tool in as_list(item.get("tools"))
            ) or known.tools,
            done=known.done or error is not None,
            error=error or known.error,
        ),
    )  # fmt: skip


def _call_of(state: OpenAIState, item: Message, response_id: str, done: bool) -> Event | None:
    known = _call(state, as_text(item.get("id")))
    error, output = _error(item), text_or_none(item.get("output"))
    progress = known.state
    if error is not None or item.get("status") == "incomplete":
        progress = ToolState.FAILED
    elif output is not None or (done and not progress.final):
        progress = ToolState.DONE
    return _keep_call(
        state,
        replace(
            known,
            response_id=response_id or known.response_id,
            server=as_text(item.get("server_label")) or known.server,
            name=as_text(item.get("name")) or known.name,
            arguments=as_text(item.get("arguments")) or known.arguments,
            state=progress,
            output=output or known.output,
            error=error or known.error,
            approval_id=text_or_none(item.get("approval_request_id")) or known.approval_id,
        ),
    )


def _approval_of(state: OpenAIState, item: Message, response_id: str, done: bool) -> Event | None:
    item_id = as_text(item.get("id"))
    asked = state.item(item_id)
    if not done or asked.call_reported:
        return None
    asked.call_reported = True
    return RemoteApproval(
        item_id,
        response_id or state.running,
        as_text(item.get("server_label")),
        as_text(item.get("name")),
        as_text(item.get("arguments")),
    )


_ITEMS: dict[str, Callable[[OpenAIState, Message, str, bool], Event | None]] = {
    "mcp_list_tools": _list_of,
    "mcp_call": _call_of,
    "mcp_approval_request": _approval_of,
}


def _error(item: Message) -> str | None:
    """Return the reason of a failure in the server's words."""
    error = item.get("error")
    details = fields(error)
    return (
        text_or_none(error)
        or text_or_none(details.get("message"))
        or text_or_none(details.get("type"))
    )


# --------------------------------------------------------------------------- frames


def list_progress(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the progress of a list of tools; the wire type's last word names it."""
    known = _tools(state, as_text(frame.item_id))
    ending = as_text(frame.type).rpartition(".")[2]
    error = (known.error or UNLISTED) if ending == "failed" else None
    yield _keep_tools(state, replace(known, done=ending != "in_progress", error=error))


def arguments_delta(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read a piece of a call's arguments."""
    item_id = as_text(frame.item_id)
    known = _call(state, item_id)
    if text := state.item(item_id).stream("arguments").piece(frame.delta):
        yield _further(state, frame, replace(known, arguments=known.arguments + text))


def arguments_done(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the whole arguments of a call."""
    known = _call(state, as_text(frame.item_id))
    whole = as_text(frame.arguments) or known.arguments
    yield _further(state, frame, replace(known, arguments=whole))


def call_progress(state: OpenAIState, frame: Frame) -> Iterable[Event]:
    """Read the progress of a call; the wire type's last word names it."""
    known = _call(state, as_text(frame.item_id))
    progress = known.state
    if not progress.final:
        progress = _STATES.get(as_text(frame.type).rpartition(".")[2], progress)
    yield _further(state, frame, replace(known, state=progress))


_STATES = {
    "in_progress": ToolState.RUNNING,
    "completed": ToolState.DONE,
    "failed": ToolState.FAILED,
}


# --------------------------------------------------------------------------- state


def _tools(state: OpenAIState, item_id: str) -> RemoteTools:
    return state.item(item_id).remote_tools or RemoteTools(item_id)


def _keep_tools(state: OpenAIState, event: RemoteTools) -> RemoteTools:
    state.item(event.item_id).remote_tools = event
    return event


def _call(state: OpenAIState, item_id: str) -> RemoteCall:
    return state.item(item_id).remote_call or RemoteCall(item_id)


def _further(state: OpenAIState, frame: Frame, event: RemoteCall) -> RemoteCall:
    response_id = as_text(frame.response_id) or event.response_id or state.running
    return _keep_call(state, replace(event, response_id=response_id))


def _keep_call(state: OpenAIState, event: RemoteCall) -> RemoteCall:
    state.item(event.item_id).remote_call = event
    return event

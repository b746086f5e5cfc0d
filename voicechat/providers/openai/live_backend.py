"""The backing model of an OpenAI Live session: a Responses stream inside `response.event`.

The voice delegates reasoning and tool calls to it. Its text is not shown, because the voice speaks
about it; its calls belong to the open response of the voice.

Sources: OpenAI guide "Delegation and tools in GPT-Live" (Responses delegation); OpenAI API
reference, "Responses", streaming events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from voicechat.core.events import (
    Event,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    ToolArgumentsDelta,
    ToolCallReady,
    UsageReported,
)
from voicechat.core.items import Usage
from voicechat.providers.json_fields import as_text, count, fields, text_or_none
from voicechat.providers.openai import openai_mcp as mcp
from voicechat.providers.openai.duplex_turns import DuplexTurns
from voicechat.providers.openai.openai_frames import Frame, ItemState, OpenAIState

Message = dict[str, object]

_REMEMBERED = 64


class LiveBackend:
    """Reads the nested stream, and adds its calls to the responses of `turns`."""

    def __init__(self, turns: DuplexTurns) -> None:
        self._turns = turns
        self._state = OpenAIState()
        self._response_ids: dict[str, str] = {}
        """Response of the voice by work of the backing model."""

    def read(self, work: str, event: Message) -> Iterator[Event]:
        """Read one event of the stream; `work` is the id of the delegation, or empty."""
        kind = as_text(event.get("type"))
        read = _TABLE.get(kind)
        if read is not None:
            yield from read(self, work, event)
        elif kind.startswith(("response.mcp_", "mcp_list_tools.")):
            yield from self._mcp(work, kind, event)
        if work in self._turns.working:
            self._turns.working[work] = self._turns.clock

    def _response(self, work: str) -> Iterator[Event]:
        """Open the response for this work unless it has one."""
        if work not in self._response_ids:
            yield from self._begin(work)

    def _begin(self, work: str) -> Iterator[Event]:
        yield from self._turns.opened()
        if len(self._response_ids) >= _REMEMBERED:
            del self._response_ids[next(iter(self._response_ids))]
        self._response_ids.pop(work, None)
        reply = self._turns.reply
        assert reply is not None
        self._response_ids[work] = reply.response_id

    def _created(self, work: str, event: Message) -> Iterator[Event]:
        yield from self._begin(work)
        if len(self._turns.working) < _REMEMBERED:
            self._turns.working[work] = self._turns.clock

    def _item(self, event: Message) -> tuple[Message, ItemState]:
        item = fields(event.get("item"))
        return item, self._state.item(as_text(item.get("id")) or as_text(item.get("call_id")))

    def _added(self, work: str, event: Message) -> Iterator[Event]:
        item, known = self._item(event)
        yield from self._response(work)
        response_id = self._response_ids[work]
        if item.get("type") != "function_call":
            yield from mcp.of_item(self._state, item, response_id)
        elif not known.call_id:
            known.call_id, known.name = as_text(item.get("call_id")), as_text(item.get("name"))
            item_id, call_id = as_text(item.get("id")), known.call_id or None
            yield OutputItemAdded(response_id, item_id, ItemKind.TOOL_CALL, call_id, known.name)

    def _arguments(self, work: str, event: Message) -> Iterator[Event]:
        item_id = as_text(event.get("item_id"))
        known = self._state.item(item_id)
        piece = known.stream("arguments").piece(event.get("delta"))
        if known.call_id and piece and work in self._response_ids:
            yield ToolArgumentsDelta(self._response_ids[work], item_id, known.call_id, piece)

    def _done(self, work: str, event: Message) -> Iterator[Event]:
        yield from self._added(work, event)
        item, known = self._item(event)
        response_id = self._response_ids[work]
        if item.get("type") != "function_call":
            yield from mcp.of_item(self._state, item, response_id, done=True)
            return
        item_id = as_text(item.get("id"))
        call_id = as_text(item.get("call_id")) or known.call_id
        if known.call_reported or not call_id:
            return
        known.call_reported = True
        reply = self._turns.reply
        if reply is not None and reply.response_id == response_id:
            reply.calls = True
        name = as_text(item.get("name")) or known.name
        arguments = as_text(item.get("arguments")) or "{}"
        yield ToolCallReady(response_id, item_id, call_id, name, arguments)
        yield OutputItemDone(response_id, item_id)

    def _mcp(self, work: str, kind: str, event: Message) -> Iterator[Event]:
        yield from self._response(work)
        frame = msgspec.convert({n: v for n, v in event.items() if n in Frame.__struct_fields__},
                                Frame)  # fmt: skip
        self._state.running = self._response_ids[work]
        words = kind.split(".")
        if words[0] == "mcp_list_tools" or words[1] == "mcp_list_tools":
            yield from mcp.list_progress(self._state, frame)
        elif words[-1] == "delta":
            yield from mcp.arguments_delta(self._state, frame)
        elif words[1] == "mcp_call_arguments":
            yield from mcp.arguments_done(self._state, frame)
        else:
            yield from mcp.call_progress(self._state, frame)

    def _ended(self, work: str, event: Message) -> Iterator[Event]:
        self._turns.worked(work)
        response = fields(event.get("response"))
        if (usage := _usage(response.get("usage"))) is not None:
            yield UsageReported(usage, delegated=True)
        if event.get("type") == "response.failed":
            yield _error(fields(response.get("error")))
        elif event.get("type") == "response.incomplete":
            reason = as_text(fields(response.get("incomplete_details")).get("reason"))
            message = f"The backing model stopped early: {reason or 'no reason given'}."
            yield ProviderError(message, reason or None)

    def _failed(self, work: str, event: Message) -> Iterator[Event]:
        self._turns.worked(work)
        yield _error(fields(event.get("error")) or event)


def _error(error: Message) -> ProviderError:
    said = text_or_none(error.get("message")) or "no reason given"
    return ProviderError(f"The backing model failed: {said}", text_or_none(error.get("code")))


def _usage(value: object) -> Usage | None:
    usage = fields(value)
    if not usage:
        return None
    cached = count(fields(usage.get("input_tokens_details")).get("cached_tokens"))
    taken, given = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    return Usage(
        total_tokens=count(usage.get("total_tokens")) or taken + given,
        input_tokens=taken,
        output_tokens=given,
        input_text_tokens=taken,
        output_text_tokens=given,
        cached_tokens=cached,
        cached_text_tokens=cached,
    )


_TABLE: Mapping[str, Callable[[LiveBackend, str, Message], Iterator[Event]]] = {
    "response.created": LiveBackend._created,
    "response.output_item.added": LiveBackend._added,
    "response.function_call_arguments.delta": LiveBackend._arguments,
    "response.output_item.done": LiveBackend._done,
    "response.completed": LiveBackend._ended,
    "response.failed": LiveBackend._ended,
    "response.incomplete": LiveBackend._ended,
    "response.cancelled": LiveBackend._ended,
    "error": LiveBackend._failed,
}

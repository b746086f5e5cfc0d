"""The chat-completions wire: encode requests and decode streamed answers. No I/O."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from voicechat.core.text import clean, split_tail
from voicechat.server.assistant.clauses import Clauses
from voicechat.server.engine_protocols import AssistantOutput, AssistantRequest, Call, Message, Say

_SPEECH_INSTRUCTIONS = (
    "Your words are spoken aloud. Answer briefly, in plain sentences, without markdown, "
    "lists, tables, links or emoji."
)
_MAX_CALLS = 32


def request_body(model: str, request: AssistantRequest) -> dict[str, object]:
    """Return the JSON body of a request for one streamed reply."""
    speech = _SPEECH_INSTRUCTIONS if request.spoken else ""
    system = "\n\n".join(part for part in (speech, request.instructions) if part)
    opening = [{"role": "system", "content": system}] if system else []
    messages = [*opening, *_messages(request.messages)]
    if request.own_instructions and (not request.messages or request.is_aside):
        # Many models answer only a user.
        messages.append({"role": "user", "content": request.own_instructions})
    body: dict[str, object] = {"model": model, "stream": True, "messages": messages}
    if request.tools and request.tool_choice != "none":
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters) or {"type": "object", "properties": {}},
                },
            }
            for tool in request.tools
        ]
        if request.tool_choice != "auto":
            body["tool_choice"] = _choice(request.tool_choice)
    return body


def _choice(name: str) -> object:
    return name if name == "required" else {"type": "function", "function": {"name": name}}


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, object]]:
    """Return the chat messages. All tool calls of one turn go into one assistant message."""
    calls: list[dict[str, object]] = []
    for message in messages:
        if message.role == "tool_call":
            function = {"name": message.name, "arguments": message.text or "{}"}
            calls.append({"id": message.call_id, "type": "function", "function": function})
            continue
        if calls:
            yield {"role": "assistant", "content": None, "tool_calls": calls}
            calls = []
        if message.role == "tool_result":
            yield {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        else:
            yield {"role": message.role, "content": message.text}
    if calls:
        yield {"role": "assistant", "content": None, "tool_calls": calls}


@dataclass(slots=True)
class _PartialCall:
    """A tool call with incomplete arguments."""

    call_id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class ChatStream:
    """One streamed answer. Takes events and returns output as soon as it is complete."""

    _clauses: Clauses = field(default_factory=Clauses)
    _thinking: _ThinkFilter = field(default_factory=lambda: _ThinkFilter())
    _calls: dict[int, _PartialCall] = field(default_factory=dict)
    _tail: str = ""

    def take(self, event: Mapping[str, object]) -> list[AssistantOutput]:
        """Return the clauses that this event completes. Ignores reasoning and unknown fields."""
        choices = event.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else {}
        delta = first.get("delta") if isinstance(first, Mapping) else None
        if not isinstance(delta, Mapping):
            return []
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, Mapping):
                self._extend_call(place, call)
        content = delta.get("content")
        if not isinstance(content, str):
            return []
        complete, self._tail = split_tail(self._tail + content)
        return _as_output(self._clauses.feed(self._thinking.strip_thoughts(clean(complete))))

    def end(self) -> list[AssistantOutput]:
        """Return the rest after the end of the stream, the tool calls last."""
        last = self._thinking.strip_thoughts(clean(self._tail)) + self._thinking.rest()
        rest = self._clauses.feed(last) + self._clauses.flush()
        calls = [self._calls[index] for index in sorted(self._calls)]
        complete = [
            Call(call.call_id or f"call_{uuid.uuid4().hex[:24]}", call.name, call.arguments or "{}")
            for call in calls
            if call.name
        ]
        return [*_as_output(rest), *complete]

    def _extend_call(self, place: int, part: Mapping[str, object]) -> None:
        """Add a piece to the call of its index. Servers that send no index send whole calls."""
        index = part.get("index")
        if not isinstance(index, int):
            index = place + (len(self._calls) if part.get("id") else 0)
        if index not in self._calls and len(self._calls) >= _MAX_CALLS:
            return
        call = self._calls.setdefault(index, _PartialCall())
        function = part.get("function")
        if isinstance(part.get("id"), str):
            call.call_id = str(part["id"])
        if isinstance(function, Mapping):
            call.name += clean(str(function.get("name") or ""))
            arguments = function.get("arguments")
            text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
            call.arguments += text if arguments else ""


class _ThinkFilter:
    """Removes a `<think>…</think>` block from the beginning of an answer."""

    _OPEN, _CLOSE = "<think>", "</think>"

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def strip_thoughts(self, text: str) -> str:
        """Return the text outside the block. Holds back text that is still ambiguous."""
        if self._state == "over":
            return text
        self._held += text
        if self._state == "start":
            begun = self._held.lstrip()
            if begun.startswith(self._OPEN):
                self._state = "inside"
            elif not self._OPEN.startswith(begun):
                self._state, text = "over", self._held
                return text
        if self._state == "inside" and self._CLOSE in self._held:
            self._state = "over"
            return self._held.split(self._CLOSE, 1)[1].lstrip()
        return ""

    def rest(self) -> str:
        """Return the text that was held back."""
        return self._held if self._state == "start" else ""


def _as_output(pieces: list[str]) -> list[AssistantOutput]:
    return [Say(piece) for piece in pieces if piece]


class _ListedModel(msgspec.Struct):
    id: object


class _ModelList(msgspec.Struct):
    data: list[_ListedModel] | None


def models(content: bytes) -> list[str] | None:
    """Return the names in a list of models; None if it is not such a list."""
    try:
        listed = msgspec.json.decode(content, type=_ModelList).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return [str(entry.id) for entry in listed or []]

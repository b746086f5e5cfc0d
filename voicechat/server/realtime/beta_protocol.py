"""The beta of the OpenAI Realtime wire: the same protocol with a flat session and older names.

    beta event -> `to_ga` -> ServerProtocol -> `to_beta` -> beta events

Names that both versions share, and names of the other version, pass through.

Source: OpenAI Realtime API reference, beta version (header `OpenAI-Beta: realtime=v1`); guide
"Beta to GA migration".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from voicechat.server.realtime.server_frames import Json, WireError, decode
from voicechat.server.realtime.server_protocol import ServerProtocol

_TEMPERATURE = 0.8
"""Default of the beta; clients may expect the field."""
_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_BETA_FORMATS = {ga: beta for beta, ga in _FORMATS.items()}
_FIELDS = {
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
}
"""The place of each beta field in the GA object."""
_DROPPED = ("temperature", "client_secret")
_EVENTS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_TRANSCRIPTION = {
    "session.created": "transcription_session.created",
    "session.updated": "transcription_session.updated",
}
_PARTS = {"text": "output_text", "audio": "output_audio"}
_BETA_PARTS = {ga: beta for beta, ga in _PARTS.items()}


class BetaServerProtocol(ServerProtocol):
    """One connection of a beta client."""

    def _decode(self, frame: str | bytes) -> Json:
        return to_ga(decode(frame))

    def _emit(self, kind: str, **fields: Any) -> None:
        transcription = kind in _TRANSCRIPTION and self.transcription_only
        for name, content in to_beta(_TRANSCRIPTION[kind] if transcription else kind, fields):
            super()._emit(name, **content)
        if kind == "session.created" and not transcription:
            conversation = {"id": self.conversation.id, "object": "realtime.conversation"}
            super()._emit("conversation.created", conversation=conversation)

    def _refuse(self, error: WireError, event_id: str | None) -> None:
        message, param = error.message, error.param
        for name, place in _FIELDS.items():
            path = ".".join(place)
            message = message.replace(f"{path}.type", name).replace(path, name)
            param = param and param.replace(f"{path}.type", name).replace(path, name)
        super()._refuse(WireError(error.code, message, param), event_id)


# --------------------------------------------------------------------------- from the client


def to_ga(event: Json) -> Json:
    """Return a client event with the names of GA."""
    kind = event["type"]
    if kind == "session.update":
        return {**event, "session": _nested(event.get("session"), "realtime")}
    if kind == "transcription_session.update":
        session = _nested(event.get("session"), "transcription")
        return {**event, "type": "session.update", "session": session}
    if kind == "response.create":
        return {**event, "response": _nested(event.get("response"))}
    if kind == "conversation.item.create":
        return {**event, "item": _with_parts(event.get("item"), _PARTS)}
    return event


def _nested(value: Any, kind: str | None = None) -> Any:
    """Return a session or a response with the fields in their places of GA."""
    if not isinstance(value, dict):
        return value
    found: Json = {"type": kind} if kind else {}
    for name, content in value.items():
        place = _FIELDS.get(name)
        if place is not None:
            _put(found, place, _ga_value(name, content))
        elif name not in _DROPPED:
            found[name] = content
    if isinstance(found.get("tools"), list):
        found["tools"] = [_tool(tool) for tool in found["tools"]]
    if isinstance(found.get("input"), list):
        found["input"] = [_with_parts(item, _PARTS) for item in found["input"]]
    return found


def _put(target: Json, place: tuple[str, ...], content: Any) -> None:
    *parents, last = place
    for name in parents:
        below = target.get(name)
        target[name] = target = dict(below) if isinstance(below, dict) else {}
    target[last] = content


def _ga_value(name: str, content: Any) -> Any:
    if name.endswith("_format") and isinstance(content, str):
        return {"type": _FORMATS.get(content, content)}
    if name == "modalities" and isinstance(content, list) and "audio" in content:
        return ["audio"]
    if name == "turn_detection" and isinstance(content, dict):
        return {"type": "server_vad", **content}
    return content


def _tool(tool: Any) -> Any:
    return {"type": "function", **tool} if isinstance(tool, dict) else tool


# --------------------------------------------------------------------------- to the client


def to_beta(kind: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield the beta events for a server event: one, or none."""
    if kind == "conversation.item.done":
        return
    content = dict(fields)
    if "session" in content:
        content["session"] = _flat_session(content["session"])
    if "response" in content:
        content["response"] = _flat_response(content["response"])
    if "item" in content:
        content["item"] = _with_parts(content["item"], _BETA_PARTS)
    yield _EVENTS.get(kind, kind), content


def _flat_session(session: Json) -> Json:
    hidden = ("type", "audio", "output_modalities", "max_output_tokens")
    flat = {name: content for name, content in session.items() if name not in hidden}
    for name, place in _FIELDS.items():
        found: Any = session
        for part in place:
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None or place[-1] in ("transcription", "noise_reduction", "turn_detection"):
            flat[name] = _beta_value(name, found)
    if session.get("type") == "realtime":
        flat["temperature"] = _TEMPERATURE
    return flat


def _flat_response(response: Json) -> Json:
    flat = {name: content for name, content in response.items() if name != "audio"}
    flat["modalities"] = _beta_value("modalities", flat.pop("output_modalities"))
    flat["output"] = [_with_parts(item, _BETA_PARTS) for item in response["output"]]
    flat["temperature"] = _TEMPERATURE
    if "audio" in response:
        output = response["audio"]["output"]
        flat["voice"] = output["voice"]
        flat["output_audio_format"] = _beta_value("output_audio_format", output["format"])
    return flat


def _beta_value(name: str, content: Any) -> Any:
    if name.endswith("_format"):
        return _BETA_FORMATS[content["type"]]
    if name == "modalities":
        return ["audio", "text"] if content == ["audio"] else content
    return content


def _with_parts(item: Any, names: Mapping[str, str]) -> Any:
    """Return an item with other names for the content of the assistant."""
    if not isinstance(item, dict) or item.get("role") != "assistant":
        return item
    content = item.get("content")
    if not isinstance(content, list):
        return item
    return {**item, "content": [_renamed(part, names) for part in content]}


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(part, dict) or part.get("type") not in names:
        return part
    return {**part, "type": names[part["type"]]}

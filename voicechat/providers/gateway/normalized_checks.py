"""Checks of what a program writes in the normalized vocabulary: client events and configurations.

A wrong type is an error that names the field; without the check it would silently mean "not
given". Most fields may be missing or null, and further fields are left alone.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (client events) and
`Experimental_RealtimeModelV4SessionConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from voicechat.errors import UsageError

_MOST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Shape:
    """What a field may hold: its kind, the words it may be, and its own fields or parts.

    needed: its fields that must not be missing.
    """

    kind: str
    words: Sequence[str] = ()
    fields: Mapping[str, Shape] = field(default_factory=dict)
    parts: Shape | None = None
    needed: Sequence[str] = ()


TEXT, NUMBER, OBJECT = Shape("a text"), Shape("a number"), Shape("an object")


def _object(**fields: Shape) -> Shape:
    return Shape("an object", fields=fields)


def _word(*words: str) -> Shape:
    return Shape("a text", words)


_MODALITIES = Shape("a list", parts=_word("text", "audio"))
_FORMAT = _object(type=_word("audio/pcm", "audio/pcmu", "audio/pcma"), rate=NUMBER)
_TOOL = _object(name=TEXT, description=TEXT, parameters=OBJECT)

CONFIG = _object(
    instructions=TEXT,
    voice=TEXT,
    outputModalities=_MODALITIES,
    inputAudioFormat=_FORMAT,
    outputAudioFormat=_FORMAT,
    inputAudioTranscription=_object(model=TEXT, language=TEXT, prompt=TEXT),
    outputAudioTranscription=_object(language=TEXT),
    turnDetection=_object(
        type=_word("server-vad", "semantic-vad", "disabled"),
        threshold=NUMBER,
        silenceDurationMs=NUMBER,
        prefixPaddingMs=NUMBER,
    ),
    tools=Shape("a list", parts=_TOOL),
    providerOptions=OBJECT,
)
"""The configuration of a session."""

_ITEM = _object(
    type=TEXT, role=_word("user"), text=TEXT, audio=TEXT, callId=TEXT, name=TEXT, output=TEXT
)
_TRUNCATE = _object(itemId=TEXT, contentIndex=NUMBER, audioEndMs=NUMBER)

EVENTS: Mapping[str, Shape] = {
    "session-update": _object(config=CONFIG),
    "session-start": _object(config=CONFIG),
    "input-audio-append": _object(audio=TEXT),
    "conversation-item-create": _object(item=_ITEM),
    "conversation-item-truncate": replace(_TRUNCATE, needed=("itemId", "audioEndMs")),
    "response-create": _object(
        options=_object(modalities=_MODALITIES, instructions=TEXT, metadata=OBJECT)
    ),
}
"""The client events that have fields."""


def check_event(kind: str, event: object) -> None:
    """Raise `UsageError` for a field of this client event that has a wrong type."""
    if kind in EVENTS:
        _check(EVENTS[kind], event, "")


def check_config(config: object) -> None:
    """Raise `UsageError` for a field of a session's configuration that has a wrong type."""
    _check(CONFIG, config, "")


def _check(shape: Shape, value: object, path: str) -> None:
    if value is None:
        return
    if _kind(value) != shape.kind:
        raise UsageError(f"{path or 'The line'} must be {shape.kind}, not {_kind(value)}.")
    if shape.words and value not in shape.words:
        raise UsageError(
            f"{path} is {str(value)[:_MOST_SHOWN]!r}.", f"Known: {', '.join(shape.words)}."
        )
    if isinstance(value, dict):
        for name in shape.needed:
            if value.get(name) is None:
                raise UsageError(f"{path}.{name}".lstrip(".") + " is missing.")
        for name, inner in shape.fields.items():
            _check(inner, value.get(name), f"{path}.{name}" if path else name)
    elif isinstance(value, list) and shape.parts is not None:
        for at, part in enumerate(value):
            _check(shape.parts, part, f"{path}[{at}]")


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object" if isinstance(value, dict) else "null"

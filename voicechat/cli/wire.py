"""`voicechat wire`: a provider's codec between lines of JSON, without a socket.

Each input line gives one output line, in order and without delay; the codec keeps its state across
lines. An unreadable line gives an object with `error`, and the next line is read as usual. Settings
and events that the provider's API cannot carry are named on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, flag, say
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.core.settings import Purpose
    from voicechat.providers.gateway.normalized import NormalizedWire


class WireAction(StrEnum):
    """The translation that `voicechat wire` makes."""

    DECODE = "decode"
    ENCODE = "encode"
    SESSION = "session"
    CONNECT = "connect"


class Intent(StrEnum):
    """The purpose of a session."""

    CONVERSATION = "conversation"
    TRANSCRIPTION = "transcription"


def wire(
    action: Annotated[WireAction, typer.Argument(metavar="ACTION", help="Kind of translation.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="PROVIDER/MODEL", help="Model whose API is used.", autocompletion=values.models
        ),
    ],
    base_url: Annotated[str | None, flag("base_url")] = None,
    intent: Annotated[
        Intent, typer.Option(metavar="KIND", help="conversation or transcription.")
    ] = Intent.CONVERSATION,
) -> int:
    """Translate between a provider's frames and normalized events, as JSON lines.

    decode reads server frames and writes an array of events for each. encode reads client events
    and writes an array of frames for each. session reads a configuration and writes the session
    object of the provider. connect reads nothing and writes the URL, the headers (keys masked) and
    the subprotocols. A line that cannot be read gives an error
    instead.
    """
    from voicechat.config import loader
    from voicechat.providers import catalog
    from voicechat.providers.gateway.normalized import NormalizedWire

    options = loader.load({"base_url": base_url})
    purpose: Purpose = "transcription" if intent is Intent.TRANSCRIPTION else "conversation"
    codec = catalog.codec_of(
        model,
        base_url=options.base_url,
        environ=options.environ,
        wire=options.wire,
        purpose=purpose,
    )
    transcribes = purpose == "transcription"
    transcriber = catalog.transcription_model(model, codec) if transcribes else None
    return _translate(NormalizedWire(codec, purpose, transcriber), action, sys.stdin.buffer)


COMMAND = CommandEntry(100, "wire", "Translate a provider's frames without a socket.", wire)


def _translate(wire: NormalizedWire, action: WireAction, lines: Iterable[bytes]) -> int:
    if action is WireAction.CONNECT:
        _write(wire.connect())
        return 0
    answer = _ANSWERS[action]
    for line in lines:
        try:
            _write(answer(wire, line))
        except UsageError as error:
            _write({"error": {"message": str(error)}})
    return 0


def _decode(wire: NormalizedWire, line: bytes) -> object:
    return wire.decode(line)


def _encode(wire: NormalizedWire, line: bytes) -> object:
    from voicechat.providers.gateway.normalized import SILENT
    from voicechat.providers.json_fields import as_text, message

    event = _object(line)
    frames = wire.encode(event)
    kind = as_text(event.get("type"))
    if not frames and kind not in SILENT:
        say(f"This API has no frame for {kind} at this point.")
    return [message(frame) for frame in frames]


def _session(wire: NormalizedWire, line: bytes) -> object:
    config = _object(line)
    for sentence in wire.unsupported(config):
        say(sentence)
    return wire.session(config)


_ANSWERS: dict[WireAction, Callable[[NormalizedWire, bytes], object]] = {
    WireAction.DECODE: _decode,
    WireAction.ENCODE: _encode,
    WireAction.SESSION: _session,
}


def _object(line: bytes) -> dict[str, object]:
    from voicechat.providers.json_fields import message

    found = message(line)
    if found is None:
        raise UsageError("The line is not a JSON object.")
    return found


def _write(value: object) -> None:
    from voicechat.providers.gateway.normalized import json_line

    sys.stdout.write(json_line(value) + "\n")
    sys.stdout.flush()

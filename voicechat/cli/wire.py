"""The command `voicechat wire`: a codec without its socket, for other programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from voicechat.core.settings import Purpose


class WireAction(StrEnum):
    """What `voicechat wire` does with each line."""

    DECODE = "decode"
    ENCODE = "encode"
    SESSION = "session"
    CONNECT = "connect"


class Intent(StrEnum):
    """What a session is for."""

    CONVERSATION = "conversation"
    TRANSCRIPTION = "transcription"


def wire(
    action: Annotated[
        WireAction, typer.Argument(metavar="ACTION", help="decode, encode, session or connect.")
    ],
    model: Annotated[str, typer.Option(metavar="PROVIDER/MODEL", help="Whose wire it is.")],
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="The provider's API.")] = None,
    intent: Annotated[
        Intent, typer.Option(metavar="KIND", help="conversation or transcription.")
    ] = Intent.CONVERSATION,
) -> int:
    """Translate between a provider's frames and normalized events: JSON lines in, JSON lines out.

    decode reads raw server frames and writes an array of events for each; encode reads client
    events and writes an array of frames for each; session reads a configuration and writes the
    wire's session object; connect reads nothing and writes the URL, the headers (keys masked)
    and the subprotocols. State is kept across the lines of one run; a line that cannot be read
    gives {"error": ...}.
    """
    from voicechat.cli import wire_lines as lines
    from voicechat.config import loader
    from voicechat.providers import catalog
    from voicechat.providers.gateway.normalized import Wire

    options = loader.load({"base_url": base_url})
    purpose: Purpose = "transcription" if intent is Intent.TRANSCRIPTION else "conversation"
    codec = catalog.codec_of(
        model,
        base_url=options.base_url,
        environ=options.environ,
        wire=options.wire,
        purpose=purpose,
    )
    named = catalog.transcriber_of(model, codec) if intent is Intent.TRANSCRIPTION else None
    return lines.converse(Wire(codec, purpose, named), action.value, sys.stdin.buffer)

"""Frames, ids and errors of the OpenAI Realtime wire, as a server writes them.

Source: OpenAI Realtime API reference (GA), server events.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Any

import msgspec

from voicechat.system.frame_cost import is_costly

Json = dict[str, Any]
"""A decoded JSON object."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder()


class WireError(Exception):
    """An error in a client event. It becomes an `error` event, and the session continues."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

    def frame(self, event_id: str | None) -> bytes:
        """Return the `error` event that names the client event."""
        return encode(
            "error",
            error={
                "type": "invalid_request_error",
                "code": self.code,
                "message": self.message,
                "param": self.param,
                "event_id": event_id,
            },
        )


def new_id(prefix: str) -> str:
    """Return an id in the style of the service: a prefix and 21 random letters and digits."""
    return f"{prefix}_{''.join(_ALPHABET[byte % 62] for byte in secrets.token_bytes(21))}"


def encode(kind: str, **fields: Any) -> bytes:
    """Encode one server event as JSON bytes, with a new event id."""
    return _encoder.encode({"type": kind, "event_id": new_id("event"), **fields})


def decode_object(content: str | bytes) -> Json:
    """Decode a JSON object. Raises `WireError` if it is not one, or one that takes long to read."""
    if is_costly(content):
        raise WireError("event_too_large", "This event has too much text or too many values.")
    try:
        found = _decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise WireError("invalid_json", f"This is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise WireError("invalid_event", "This must be a JSON object.")
    return found


def decode(frame: str | bytes) -> Json:
    """Decode a client event. Raises `WireError` if it is not a JSON object with a type."""
    event = decode_object(frame)
    if not isinstance(event.get("type"), str):
        raise WireError("missing_required_parameter", "Missing required parameter: 'type'.", "type")
    return event


def sound_bytes(text: str, param: str) -> bytes:
    """Decode base64 strictly. Raises `WireError` if the text is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(
            "invalid_value", f"Invalid '{param}'. Expected base64-encoded audio bytes.", param
        ) from error


def sound_text(sound: bytes) -> str:
    """Return audio as base64 text."""
    return base64.b64encode(sound).decode("ascii")


def text_tokens(text: str) -> int:
    """Return an estimate of the tokens in a text, at four characters each."""
    return (len(text) + 3) // 4


def transcription_usage(audio: int, text: int) -> Json:
    """Return the `usage` of a transcription: tokens of its audio and of its text."""
    return {
        "type": "tokens",
        "total_tokens": audio + text,
        "input_tokens": audio,
        "output_tokens": text,
        "input_token_details": {"text_tokens": 0, "audio_tokens": audio},
    }

"""Client event types of the OpenAI Realtime family, for events that a user writes.

Sources: OpenAI API reference, "Realtime client events", `live/sessions` and
`realtime/translations`.
"""

from __future__ import annotations

from voicechat.providers.client_frames import ClientFrame, typed_frame

_ID = {"event_id": "text"}
_MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}

GENERAL_EVENTS: tuple[ClientFrame, ...] = (
    typed_frame("session.update", _ID, session={"type": "realtime"}),
    typed_frame("input_audio_buffer.append", _ID, audio=""),
    typed_frame("input_audio_buffer.commit", _ID),
    typed_frame("input_audio_buffer.clear", _ID),
    typed_frame("conversation.item.create", {**_ID, "previous_item_id": "text"}, item=_MESSAGE),
    typed_frame("conversation.item.retrieve", _ID, item_id=""),
    typed_frame("conversation.item.truncate", _ID, item_id="", content_index=0, audio_end_ms=0),
    typed_frame("conversation.item.delete", _ID, item_id=""),
    typed_frame("response.create", {**_ID, "response": "object"}),
    typed_frame("response.cancel", {**_ID, "response_id": "text"}),
    typed_frame("output_audio_buffer.clear", _ID),
)
"""The GA wire and its dialects."""

_APPEND = {**_ID, "delegation_id": "any value"}

LIVE_EVENTS: tuple[ClientFrame, ...] = (
    typed_frame("session.update", _ID, session={}),
    typed_frame("session.input_audio.append", _ID, audio=""),
    typed_frame("session.input_audio.mute", _ID),
    typed_frame("session.input_audio.unmute", _ID),
    typed_frame("session.thinking.append", _APPEND, content="", delegation_id=None),
    typed_frame("session.commentary.append", _APPEND, content="", delegation_id=None),
    typed_frame("session.instructions.append", _APPEND, content="", delegation_id=None),
    typed_frame("response.item.create", _ID, item=_MESSAGE),
    typed_frame("response.create", _ID),
    typed_frame("session.close", _ID),
)
"""Continuous sessions of a Live model."""

TRANSLATION_EVENTS: tuple[ClientFrame, ...] = (
    typed_frame("session.update", _ID, session={}),
    typed_frame("session.input_audio_buffer.append", _ID, audio=""),
    typed_frame("session.close", _ID),
)
"""Sessions that translate."""

"""Client event types of the AI SDK's normalized wire, for events that a user writes.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (client events).
"""

from __future__ import annotations

from voicechat.providers.client_frames import ClientFrame, typed_frame

_ID = {"eventId": "text"}

GATEWAY_EVENTS: tuple[ClientFrame, ...] = (
    typed_frame("session-update", _ID, config={}),
    typed_frame("input-audio-append", _ID, audio=""),
    typed_frame("input-audio-commit"),
    typed_frame("input-audio-clear"),
    typed_frame(
        "conversation-item-create", item={"type": "text-message", "role": "user", "text": "Hi"}
    ),
    typed_frame("conversation-item-truncate", itemId="", contentIndex=0, audioEndMs=0),
    typed_frame("response-create", {"options": "object"}),
    typed_frame("response-cancel"),
)
"""The events of turn-based sessions."""

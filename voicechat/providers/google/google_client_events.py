"""Client event types of Gemini Live, for events that a user writes.

Source: Gemini API reference, "Live API - WebSockets" (client messages).
"""

from __future__ import annotations

from typing import Any

from voicechat.providers.client_frames import ClientFrame


def _frame(name: str, body: dict[str, Any], **optional: str) -> ClientFrame:
    """Return an event type that is the only field of its object."""
    return ClientFrame(name, {name: body}, {**dict.fromkeys(body, "any value"), **optional})


GOOGLE_EVENTS: tuple[ClientFrame, ...] = (
    _frame("realtimeInput", {"text": "Hi"}, audio="object", video="object", text="text",
           activityStart="object", activityEnd="object", audioStreamEnd="true or false"),
    _frame("clientContent", {"turns": [{"role": "user", "parts": [{"text": "Hi"}]}],
                             "turnComplete": True}, turns="list", turnComplete="true or false"),
    _frame("toolResponse", {"functionResponses": [{"id": "", "name": "", "response": {}}]},
           functionResponses="list"),
    _frame("contextUpdate", {"systemInstruction": {"parts": [{"text": ""}]}},
           systemInstruction="object", tools="list"),
)  # fmt: skip
"""The messages of a session after its setup."""

"""The server half of one call: the same events on a data channel, the sound on tracks of its own.

There are no audio deltas and no `input_audio_buffer.append`. The server plays the sound, so it
knows what was heard: it reports `output_audio_buffer.started`, `stopped` and `cleared`, and
truncates an item that the user interrupts. Formats of a session are ignored: the tracks have their
own.

Source: OpenAI API reference, realtime events marked "WebRTC/SIP only".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from voicechat.server.realtime.input_buffer import BUFFER_MS
from voicechat.server.realtime.protocol_actions import Actions, InputSound
from voicechat.server.realtime.server_frames import Json, decode, sound_bytes
from voicechat.server.realtime.server_protocol import ServerProtocol


class ResponsePlayout(Protocol):
    """The sound that a call plays: PCM16 mono at 24 kHz, in the order in which it was added."""

    def add(self, response_id: str, item_id: str, pcm: bytes) -> None:
        """Play this sound after the rest."""
        ...

    def end(self, response_id: str) -> None:
        """Note that the response has no more sound."""
        ...

    def clear(self) -> tuple[str | None, Sequence[tuple[str, float]]]:
        """Drop the sound that is left.

        Returns the response that was playing, or None, and each item with sound that was dropped,
        with the milliseconds of it that were played.
        """
        ...


class CallProtocol(ServerProtocol):
    """One call. Add the user's sound with `hear`."""

    def __init__(
        self, playout: ResponsePlayout, *arguments: Any, defaults: Json | None = None, **more: Any
    ) -> None:
        self._playout = playout
        super().__init__(*arguments, defaults=_without_formats(defaults or {}), **more)
        del self._events["input_audio_buffer.append"]

    def hear(self, pcm: bytes) -> Actions:
        """Take sound of the user: PCM16 mono at 24 kHz."""
        sound, _ = self._buffer.append(pcm, bounded=False)
        if self.turn_detection is None:
            # The sound never stops, so what was said last counts.
            self._buffer.trim(self.received_ms - BUFFER_MS)
        return [InputSound(sound, self._buffer.format)] if sound else []

    def playing(self, changes: Iterable[tuple[str, str]]) -> None:
        """Report changes of the playout: (started or stopped, response id)."""
        for kind, response_id in changes:
            self._emit(f"output_audio_buffer.{kind}", response_id=response_id)

    def speech_started(self, at_ms: float) -> Actions:
        """Report the start of speech, which interrupts what is playing."""
        actions = super().speech_started(at_ms)
        if (self.turn_detection or {}).get("interrupt_response", True):
            self._clear_playout()
        return actions

    def _clear_output(self, event: Json) -> Actions:
        self._clear_playout()
        return []

    def _clear_playout(self) -> None:
        response_id, items = self._playout.clear()
        if response_id is not None:
            self._emit("output_audio_buffer.cleared", response_id=response_id)
        for item_id, heard_ms in items:
            if self.conversation.find(item_id) is not None:
                played = {"item_id": item_id, "content_index": 0, "audio_end_ms": int(heard_ms)}
                self._truncate(played)

    def _emit(self, kind: str, **fields: Any) -> None:
        if kind == "response.output_audio.delta":
            sound = sound_bytes(fields["delta"], "delta")
            self._playout.add(fields["response_id"], fields["item_id"], sound)
            return
        super()._emit(kind, **fields)
        if kind == "response.done":
            self._playout.end(fields["response"]["id"])

    def _decode(self, frame: str | bytes) -> Json:
        event = decode(frame)
        for name in ("session", "response"):
            if isinstance(event.get(name), dict):
                event[name] = _without_formats(event[name])
        return event


def _without_formats(settings: Json) -> Json:
    """Return a session, or the settings of a response, without the formats of their sound."""
    audio = settings.get("audio")
    if not isinstance(audio, dict):
        return settings
    sides = {
        side: {name: value for name, value in content.items() if name != "format"}
        if isinstance(content, dict)
        else content
        for side, content in audio.items()
    }
    return {**settings, "audio": sides}

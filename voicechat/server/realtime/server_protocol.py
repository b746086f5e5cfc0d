"""The server half of one OpenAI Realtime connection (GA), without I/O.

Input: client frames (`receive`) and engine events (speech started, a transcript is ready, a
response ended). Output: server frames (`take`), and actions for the pipeline as the return
value of each call.

    receive(append)  -> InputSound        feed endpointing and STT
    receive(commit)  -> AudioCommitted    finish recognition, then call `transcribed`
    receive(clear)   -> AudioCleared      drop the current utterance
    receive(update)  -> SessionConfigured formats or turn detection may have changed
    receive(create)  -> ResponseStarted   fill the response, then call `finish`
    receive(cancel)  -> ResponseStopped   stop the work; the response has ended already

A client error becomes an `error` event and changes nothing. One response at a time belongs to the
conversation. Announcements wait for a pause in it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from voicechat.server.realtime import client_shapes
from voicechat.server.realtime.field_checks import invalid
from voicechat.server.realtime.input_buffer import InputBuffer
from voicechat.server.realtime.item_store import ItemStore, StoredItem, prepared
from voicechat.server.realtime.protocol_actions import (
    Actions,
    AudioCleared,
    AudioCommitted,
    InputSound,
    RecognizeItem,
    ResponseStarted,
    ResponseStopped,
    SessionConfigured,
)
from voicechat.server.realtime.server_frames import (
    Json,
    WireError,
    decode,
    encode,
    new_id,
    sound_bytes,
    sound_text,
    text_tokens,
    transcription_usage,
)
from voicechat.server.realtime.server_response import ResponsePlan, ServerResponse
from voicechat.server.realtime.server_session import (
    input_format,
    merge,
    new_session,
    plan,
    session_echo,
)
from voicechat.speech.formats import Format

_TRANSCRIPTION_EVENTS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.retrieve",
    "conversation.item.delete",
)
"""The client events of a transcription session."""

PARALLEL = 8
"""Maximum number of concurrent out-of-band responses."""


class ServerProtocol:
    """One connection. After each call, send the frames of `take` in order."""

    def __init__(
        self,
        model: str,
        voices: Sequence[str] = (),
        voice: str | None = None,
        session_seconds: float = 3600.0,
        now: Callable[[], float] = time.time,
        *,
        transcription: bool = False,
        defaults: Json | None = None,
    ) -> None:
        """Start the session. A transcription session has no responses.

        defaults: a checked `session` of `session.update` that the session starts with.
        """
        voice = voice or (voices[0] if voices else client_shapes.OPENAI_VOICES[0])
        self.session = new_session(model, voice, int(now() + session_seconds), defaults)
        self.conversation = ItemStore()
        self.active: ServerResponse | None = None
        """The running response of the conversation."""
        self.speech: str | None = None
        """The id of the item that the user is speaking."""
        self._frames: list[bytes] = []
        self._out_of_band: dict[str, ServerResponse] = {}
        self._response_due = False
        self._announcements: deque[str] = deque(maxlen=16)
        self._buffer = InputBuffer(input_format(self.session))
        self.transcription_only = transcription
        self._check_session = (
            client_shapes.TRANSCRIPTION_UPDATE
            if transcription
            else client_shapes.session_update((*voices, voice))
        )
        self._check_response = client_shapes.response_create((*voices, voice))
        self._events: dict[str, Callable[[Json], Actions]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit_event,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.delete": self._delete,
            "conversation.item.truncate": self._truncate,
            "response.create": self._create_response,
            "response.cancel": self._cancel,
            "output_audio_buffer.clear": self._clear_output,
        }
        if transcription:
            self._events = {kind: self._events[kind] for kind in _TRANSCRIPTION_EVENTS}
        self._emit("session.created", session=session_echo(self.session, self.transcription_only))

    # ----------------------------------------------------------------- frames

    def take(self) -> list[bytes]:
        """Return the frames made since the last call."""
        frames, self._frames = self._frames, []
        return frames

    def receive(self, frame: str | bytes) -> Actions:
        """Process one client frame. Never raises."""
        event_id: str | None = None
        try:
            event = self._decode(frame)
            given = event.get("event_id")
            event_id = given if isinstance(given, str) else None
            kind = event["type"]
            if kind not in self._events:
                names = ", ".join(f"'{name}'" for name in self._events)
                raise invalid(
                    "type", f"Invalid value: '{kind[:64]}'. Supported values are: {names}."
                )
            return self._events[kind](client_shapes.EVENTS[kind](event, ""))
        except WireError as error:
            self._refuse(error, event_id)
            return []

    def _decode(self, frame: str | bytes) -> Json:
        return decode(frame)

    def _refuse(self, error: WireError, event_id: str | None) -> None:
        self._frames.append(error.frame(event_id))

    def _emit(self, kind: str, **fields: Any) -> None:
        self._frames.append(encode(kind, **fields))

    # ----------------------------------------------------------------- session

    @property
    def turn_detection(self) -> Json | None:
        """The turn detection of the session; None when the client commits its turns."""
        found: Json | None = self.session["audio"]["input"]["turn_detection"]
        return found

    def _update(self, event: Json) -> Actions:
        merge(self.session, self._check_session(event["session"], "session"))
        if input_format(self.session) != self._buffer.format:
            self._buffer.clear(input_format(self.session))
        self._emit("session.updated", session=session_echo(self.session, self.transcription_only))
        return [SessionConfigured(), *self._next()]

    def expire(self) -> None:
        """Report that the session reached its maximum duration; the caller closes it."""
        error = WireError("session_expired", "Your session hit its maximum duration.")
        self._frames.append(error.frame(None))

    # ----------------------------------------------------------------- the user's audio

    @property
    def received_ms(self) -> float:
        """Milliseconds of audio appended so far: the input clock."""
        return self._buffer.clock_ms

    @property
    def format(self) -> Format:
        """The format of the input audio."""
        return self._buffer.format

    def _append(self, event: Json) -> Actions:
        sound = sound_bytes(event["audio"], "audio")
        sound, overflow = self._buffer.append(sound, bounded=self.turn_detection is None)
        if self.transcription_only and self.turn_detection is None and sound:
            # Transcript deltas arrive during the turn, so the item needs its id now.
            self.speech = self.speech or new_id("item")
        if overflow:
            self._frames.append(_FULL.frame(None))
        return [InputSound(sound, self._buffer.format)] if sound else []

    def trim(self, before_ms: float) -> None:
        """Drop the audio before this time on the input clock, because no speech is in it."""
        self._buffer.trim(before_ms)

    def _commit_event(self, event: Json) -> Actions:
        self._buffer.check_commit()
        return [AudioCommitted(self._commit(self.received_ms)), *self._next()]

    def _commit(self, until_ms: float) -> str:
        """Turn the audio up to this time into a user item."""
        sound = self._buffer.cut(until_ms)
        item_id, self.speech = self.speech or new_id("item"), None
        self._add_spoken(item_id, sound, self._buffer.format.ms(len(sound)))
        return item_id

    def _add_spoken(self, item_id: str, sound: bytearray, ms: float) -> None:
        content = [{"type": "input_audio", "transcript": None}]
        entry = StoredItem(
            {
                "id": item_id,
                "type": "message",
                "status": "completed",
                "role": "user",
                "content": content,
            },
            sound=sound,
            audio_ms=ms,
        )
        self._emit(
            "input_audio_buffer.committed",
            item_id=item_id,
            previous_item_id=self.conversation.last_id,
        )
        self._add(entry)

    def _clear(self, event: Json) -> Actions:
        self._buffer.clear()
        self.speech = None
        self._emit("input_audio_buffer.cleared")
        return [AudioCleared(), *self._next()]

    def _clear_output(self, event: Json) -> Actions:
        raise WireError(
            "invalid_event", "output_audio_buffer.clear is for WebRTC and SIP connections only."
        )

    # ----------------------------------------------------------------- facts of the stt

    def speech_started(self, at_ms: float) -> Actions:
        """Report the start of speech. `at_ms` is a time on the input clock."""
        turns = self.turn_detection or {}
        start = max(at_ms - turns.get("prefix_padding_ms", 300), 0.0)
        self.trim(start)
        self.speech = new_id("item")
        self._emit(
            "input_audio_buffer.speech_started", item_id=self.speech, audio_start_ms=int(start)
        )
        if self.active is not None and turns.get("interrupt_response", True):
            self._response_due = False
            return self._stop(self.active, "turn_detected")
        return []

    def speech_stopped(self, at_ms: float, until_ms: float) -> Actions:
        """Report the end of speech at `at_ms`. The audio up to `until_ms` becomes the user item."""
        item_id = self.speech or new_id("item")
        self.speech = item_id
        self._emit("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=int(at_ms))
        self._commit(until_ms)
        self._response_due = (self.turn_detection or {}).get(
            "create_response", True
        ) and not self.transcription_only
        return [AudioCommitted(item_id), *self._next()]

    def idle(self, since_ms: float) -> Actions:
        """Report the idle timeout: commit an empty item and start a response."""
        if self.transcription_only or self.active is not None or self.speech is not None:
            return []
        item_id = new_id("item")
        self._emit(
            "input_audio_buffer.timeout_triggered",
            item_id=item_id,
            audio_start_ms=int(since_ms),
            audio_end_ms=int(self.received_ms),
        )
        self._add_spoken(item_id, bytearray(), 0.0)
        self.transcribed(item_id, "")
        self._response_due = True
        return self._next()

    def transcript_delta(self, item_id: str, delta: str) -> None:
        """Report a transcript delta of a user item."""
        if self.session["audio"]["input"]["transcription"] is not None:
            self._emit(
                "conversation.item.input_audio_transcription.delta",
                item_id=item_id,
                content_index=0,
                delta=delta,
            )

    def transcribed(self, item_id: str, text: str) -> None:
        """Report the transcript of a user item."""
        entry = self.conversation.find(item_id)
        if entry is None:
            return
        for part in entry.item["content"]:
            if part["type"] == "input_audio" and part.get("transcript") is None:
                part["transcript"] = text
        if self.session["audio"]["input"]["transcription"] is None:
            return
        sound, words = int(entry.audio_ms / 100), text_tokens(text)
        self._emit(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            content_index=0,
            transcript=text,
            usage=transcription_usage(sound, words),
        )

    def transcription_failed(self, item_id: str, message: str) -> None:
        """Report that the recognition of a user item failed."""
        if self.session["audio"]["input"]["transcription"] is None:
            return
        self._emit(
            "conversation.item.input_audio_transcription.failed",
            item_id=item_id,
            content_index=0,
            error={
                "type": "server_error",
                "code": "audio_unintelligible",
                "message": message,
                "param": None,
            },
        )

    # ----------------------------------------------------------------- items

    def _add(self, entry: StoredItem, after: str | None = None) -> None:
        previous = self.conversation.add(entry, after)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._emit(kind, item=entry.echo(), previous_item_id=previous)

    def _client_item(self, item: Json) -> tuple[StoredItem, Actions]:
        """Return the stored item for a client item, and the actions to recognize its audio."""
        entry = StoredItem(prepared(item))
        form = input_format(self.session)
        actions: Actions = []
        for part in entry.item.get("content", ()):
            sound = sound_bytes(part.pop("audio", None) or "", "item.content.audio")
            if part["type"] == "input_audio":
                entry.sound += sound
                entry.audio_ms += form.ms(len(sound))
                if part.setdefault("transcript", None) is None:
                    actions.append(RecognizeItem(entry.item_id, sound, form))
        return entry, actions

    def _create_item(self, event: Json) -> Actions:
        item = event["item"]
        if item["type"] == "function_call_output":
            self._check_call_id(item["call_id"])
        entry, actions = self._client_item(item)
        self._add(entry, event.get("previous_item_id"))
        return actions

    def _check_call_id(self, call_id: str) -> None:
        items = (entry.item for entry in self.conversation.entries())
        if call_id not in {item["call_id"] for item in items if item["type"] == "function_call"}:
            raise WireError(
                "invalid_tool_call_id",
                f"Tool call ID '{call_id}' not found in conversation.",
                "item.call_id",
            )

    def _retrieve(self, event: Json) -> Actions:
        entry = self.conversation.get(event["item_id"], "retrieve")
        item = entry.echo()
        for part in item.get("content", ()):
            if part["type"] in ("input_audio", "output_audio") and entry.sound:
                part["audio"] = sound_text(bytes(entry.sound))
            if entry.heard_ms is not None:
                part["transcript"] = entry.text()
        self._emit("conversation.item.retrieved", item=item)
        return []

    def _delete(self, event: Json) -> Actions:
        self.conversation.delete(event["item_id"])
        self._emit("conversation.item.deleted", item_id=event["item_id"])
        return []

    def _truncate(self, event: Json) -> Actions:
        if event["content_index"] != 0:
            raise invalid("content_index", "Spoken items have one content part, number 0.")
        self.conversation.truncate(event["item_id"], event["audio_end_ms"])
        self._emit(
            "conversation.item.truncated",
            item_id=event["item_id"],
            content_index=0,
            audio_end_ms=event["audio_end_ms"],
        )
        return []

    # ----------------------------------------------------------------- responses

    def _create_response(self, event: Json) -> Actions:
        response = self._check_response(event.get("response") or {}, "response")
        out_of_band = response.get("conversation") == "none"
        if not out_of_band and self.active is not None:
            raise WireError(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress: "
                f"{self.active.id}. Wait until the response is finished before creating a new one.",
            )
        if out_of_band and len(self._out_of_band) >= PARALLEL:
            raise WireError("rate_limit_exceeded", "Too many responses are running at once.")
        context, actions = self._context(response)
        return [*actions, *self._start(plan(self.session, response, context))]

    def _context(self, response: Json) -> tuple[list[StoredItem] | None, Actions]:
        """Return the items that `response.input` contains or refers to."""
        if response.get("input") is None:
            return None, []
        entries: list[StoredItem] = []
        actions: Actions = []
        for item in response["input"]:
            if item["type"] == "item_reference":
                entries.append(self.conversation.get(item["id"], "retrieve"))
                continue
            entry, _ = self._client_item(item)
            entries.append(entry)
        return entries, actions

    def _start(self, chosen: ResponsePlan) -> Actions:
        reply = ServerResponse(chosen, self.conversation, self._emit)
        if chosen.out_of_band:
            self._out_of_band[reply.id] = reply
        else:
            self.active = reply
            self._response_due = False
        reply.created()
        return [ResponseStarted(reply)]

    def _cancel(self, event: Json) -> Actions:
        wanted = event.get("response_id")
        reply = self.active
        if wanted is not None and (reply is None or reply.id != wanted):
            reply = self._out_of_band.get(wanted)
        if reply is None:
            raise WireError(
                "response_cancel_not_active", "Cancellation failed: no active response found"
            )
        return [*self._stop(reply, "client_cancelled"), *self._next()]

    def _stop(self, reply: ServerResponse, reason: str) -> Actions:
        reply.end("cancelled", reason)
        self._forget(reply)
        return [ResponseStopped(reply)]

    def finish(
        self,
        reply: ServerResponse,
        status: str = "completed",
        reason: str | None = None,
        error: Json | None = None,
    ) -> Actions:
        """End a response that is complete or failed. Does nothing if it ended before."""
        reply.end(status, reason, error)
        self._forget(reply)
        return self._next()

    def _forget(self, reply: ServerResponse) -> None:
        self._out_of_band.pop(reply.id, None)
        if self.active is reply:
            self.active = None

    def announce(self, words: str) -> Actions:
        """Say these words at the next pause in the conversation."""
        self._announcements.append(words)
        return self._next()

    def _next(self) -> Actions:
        """In a pause, start what waits: first a due response, then an announcement."""
        if self.transcription_only or self.active is not None or self.speech is not None:
            return []
        if self._response_due:
            return self._start(plan(self.session, {}, None))
        # Without turn detection, uncommitted audio means that the user is speaking.
        if not self._announcements or (self.turn_detection is None and self._buffer):
            return []
        chosen = replace(plan(self.session, {}, None), words=self._announcements.popleft())
        return self._start(chosen)


_FULL = WireError(
    "input_audio_buffer_full",
    "The input audio buffer holds 60 seconds; commit or clear it. Further audio is dropped.",
    "audio",
)

"""The server half of one OpenAI Realtime connection (GA), without any I/O.

Two things go in: frames of the client (`receive`) and facts of the engines (speech began, a
transcript is ready, a reply ended). Two things come out: frames for the client (`take`), and
actions for whoever runs the engines, as the return value of every call.

    receive(append)  -> Sound        feed detector and ears
    receive(commit)  -> Committed    finish recognising; then `transcribed`
    receive(clear)   -> Cleared      forget the running utterance
    receive(update)  -> Configured   formats or turn detection may have changed
    receive(create)  -> Started      think and speak into `reply`; then `finish`
    receive(cancel)  -> Stopped      stop thinking and speaking; the reply is over already

A client's mistake becomes an `error` event and changes nothing. One response at a time lives in
the conversation; what the server wants to say by itself waits until the floor is free.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from voicechat.server.realtime import client_shapes
from voicechat.server.realtime.input_buffer import InputBuffer
from voicechat.server.realtime.item_store import Conversation, Entry, prepared
from voicechat.server.realtime.protocol_actions import (
    Actions,
    Cleared,
    Committed,
    Configured,
    Recognise,
    Sound,
    Started,
    Stopped,
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
)
from voicechat.server.realtime.server_response import Plan, Reply
from voicechat.server.realtime.server_session import (
    input_format,
    merge,
    new_session,
    plan,
    transcription_session,
)
from voicechat.speech.formats import Format

_WRITING = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.retrieve",
    "conversation.item.delete",
)
"""What a session understands that only writes down what is said."""

PARALLEL = 8
"""Responses outside the conversation that may run at once."""


class Protocol:
    """One connection. Call `take` after every call and send what it gives, in order."""

    def __init__(
        self,
        model: str,
        voices: Sequence[str] = (),
        voice: str | None = None,
        session_seconds: float = 3600.0,
        now: Callable[[], float] = time.time,
        *,
        writes: bool = False,
    ) -> None:
        """With `writes` the session only writes down what is said: it has no responses."""
        voice = voice or (voices[0] if voices else client_shapes.OPENAI_VOICES[0])
        self.session = new_session(model, voice, int(now() + session_seconds))
        self.conversation = Conversation()
        self.active: Reply | None = None
        """The response of the conversation that runs."""
        self.speech: str | None = None
        """Id of the item the person is speaking into."""
        self._frames: list[bytes] = []
        self._aside: dict[str, Reply] = {}
        self._owed = False
        self._nudges: deque[str] = deque(maxlen=16)
        self._buffer = InputBuffer()
        self._writes = writes
        self._check_session = (
            client_shapes.TRANSCRIPTION_UPDATE
            if writes
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
        if writes:
            self._events = {kind: self._events[kind] for kind in _WRITING}
        self._emit("session.created", session=self._shown())

    # ----------------------------------------------------------------- frames

    def take(self) -> list[bytes]:
        """The frames made since the last call."""
        frames, self._frames = self._frames, []
        return frames

    def receive(self, frame: str | bytes) -> Actions:
        """Carry out one frame of the client. Never raises."""
        event_id: str | None = None
        try:
            event = decode(frame)
            given = event.get("event_id")
            event_id = given if isinstance(given, str) else None
            kind = event["type"]
            if kind not in self._events:
                names = ", ".join(f"'{name}'" for name in self._events)
                raise client_shapes.invalid(
                    "type", f"Invalid value: '{kind[:64]}'. Supported values are: {names}."
                )
            return self._events[kind](client_shapes.EVENTS[kind](event, ""))
        except WireError as error:
            self._frames.append(error.frame(event_id))
            return []

    def _emit(self, kind: str, **fields: Any) -> None:
        self._frames.append(encode(kind, **fields))

    # ----------------------------------------------------------------- session

    @property
    def turn_detection(self) -> Json | None:
        """The session's turn detection; None when the client ends its turns."""
        found: Json | None = self.session["audio"]["input"]["turn_detection"]
        return found

    def _update(self, event: Json) -> Actions:
        merge(self.session, self._check_session(event["session"], "session"))
        if input_format(self.session) != self._buffer.format:
            self._buffer.clear(input_format(self.session))
        self._emit("session.updated", session=self._shown())
        return [Configured(), *self._next()]

    def _shown(self) -> Json:
        return transcription_session(self.session) if self._writes else self.session

    def expire(self) -> None:
        """The session is too old; say so before closing."""
        error = WireError("session_expired", "Your session hit its maximum duration.")
        self._frames.append(error.frame(None))

    # ----------------------------------------------------------------- the person's sound

    @property
    def received_ms(self) -> float:
        """Milliseconds of sound appended so far: the clock of the input."""
        return self._buffer.clock_ms

    @property
    def format(self) -> Format:
        """The format of the sound the client sends."""
        return self._buffer.format

    def _append(self, event: Json) -> Actions:
        sound = sound_bytes(event["audio"], "audio")
        sound, overflow = self._buffer.append(sound, bounded=self.turn_detection is None)
        if self._writes and self.turn_detection is None and sound:
            # The words are told while they are spoken, so their item has its id from the start.
            self.speech = self.speech or new_id("item")
        if overflow:
            self._frames.append(_FULL.frame(None))
        return [Sound(sound, self._buffer.format)] if sound else []

    def trim(self, before_ms: float) -> None:
        """Nobody speaks: forget the sound before this moment of the input's clock."""
        self._buffer.trim(before_ms)

    def _commit_event(self, event: Json) -> Actions:
        self._buffer.check_commit()
        return [Committed(self._commit(self.received_ms)), *self._next()]

    def _commit(self, until_ms: float) -> str:
        """Make the sound up to this moment a user item."""
        sound = self._buffer.cut(until_ms)
        item_id, self.speech = self.speech or new_id("item"), None
        self._add_spoken(item_id, sound, self._buffer.format.ms(len(sound)))
        return item_id

    def _add_spoken(self, item_id: str, sound: bytearray, ms: float) -> None:
        content = [{"type": "input_audio", "transcript": None}]
        entry = Entry(
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
        return [Cleared(), *self._next()]

    def _clear_output(self, event: Json) -> Actions:
        raise WireError(
            "invalid_event", "output_audio_buffer.clear is for WebRTC and SIP connections only."
        )

    # ----------------------------------------------------------------- facts of the ears

    def speech_started(self, at_ms: float) -> Actions:
        """The person began to speak; `at_ms` is on the input's clock."""
        turns = self.turn_detection or {}
        start = max(at_ms - turns.get("prefix_padding_ms", 300), 0.0)
        self.trim(start)
        self.speech = new_id("item")
        self._emit(
            "input_audio_buffer.speech_started", item_id=self.speech, audio_start_ms=int(start)
        )
        if self.active is not None and turns.get("interrupt_response", True):
            self._owed = False
            return self._stop(self.active, "turn_detected")
        return []

    def speech_stopped(self, at_ms: float, until_ms: float) -> Actions:
        """The person ended at `at_ms`; the sound up to `until_ms` is the user item."""
        item_id = self.speech or new_id("item")
        self.speech = item_id
        self._emit("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=int(at_ms))
        self._commit(until_ms)
        self._owed = (self.turn_detection or {}).get("create_response", True) and not self._writes
        return [Committed(item_id), *self._next()]

    def idle(self, since_ms: float) -> Actions:
        """Nobody spoke for the idle timeout: an empty item is committed and answered."""
        if self._writes or self.active is not None or self.speech is not None:
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
        self._owed = True
        return self._next()

    def hearing(self, item_id: str, delta: str) -> None:
        """More of the person's words is certain; `delta` goes behind what was told before."""
        if self.session["audio"]["input"]["transcription"] is not None:
            self._emit(
                "conversation.item.input_audio_transcription.delta",
                item_id=item_id,
                content_index=0,
                delta=delta,
            )

    def transcribed(self, item_id: str, text: str) -> None:
        """The text of a spoken user item."""
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
            usage={
                "type": "tokens",
                "total_tokens": sound + words,
                "input_tokens": sound,
                "output_tokens": words,
                "input_token_details": {"text_tokens": 0, "audio_tokens": sound},
            },
        )

    def not_transcribed(self, item_id: str, message: str) -> None:
        """A spoken user item could not be recognised."""
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

    def _add(self, entry: Entry, after: str | None = None) -> None:
        previous = self.conversation.add(entry, after)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._emit(kind, item=entry.echo(), previous_item_id=previous)

    def _brought(self, item: Json) -> tuple[Entry, Actions]:
        """The entry of an item that the client sent, and the wish to recognise its sound."""
        entry = Entry(prepared(item))
        form = input_format(self.session)
        actions: Actions = []
        for part in entry.item.get("content", ()):
            sound = sound_bytes(part.pop("audio", None) or "", "item.content.audio")
            if part["type"] == "input_audio":
                entry.sound += sound
                entry.audio_ms += form.ms(len(sound))
                if part.setdefault("transcript", None) is None:
                    actions.append(Recognise(entry.item_id, sound, form))
        return entry, actions

    def _create_item(self, event: Json) -> Actions:
        item = event["item"]
        if item["type"] == "function_call_output":
            self._known_call(item["call_id"])
        entry, actions = self._brought(item)
        self._add(entry, event.get("previous_item_id"))
        return actions

    def _known_call(self, call_id: str) -> None:
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
            raise client_shapes.invalid(
                "content_index", "Spoken items have one content part, number 0."
            )
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
        aside = response.get("conversation") == "none"
        if not aside and self.active is not None:
            raise WireError(
                "conversation_already_has_active_response",
                "Conversation already has an active response in progress: "
                f"{self.active.id}. Wait until the response is finished before creating a new one.",
            )
        if aside and len(self._aside) >= PARALLEL:
            raise WireError("rate_limit_exceeded", "Too many responses run at once.")
        context, actions = self._context(response)
        return [*actions, *self._start(plan(self.session, response, context))]

    def _context(self, response: Json) -> tuple[list[Entry] | None, Actions]:
        """The items that `response.input` brings or refers to."""
        if response.get("input") is None:
            return None, []
        entries: list[Entry] = []
        actions: Actions = []
        for item in response["input"]:
            if item["type"] == "item_reference":
                entries.append(self.conversation.get(item["id"], "retrieve"))
                continue
            entry, _ = self._brought(item)
            entries.append(entry)
        return entries, actions

    def _start(self, chosen: Plan) -> Actions:
        reply = Reply(chosen, self.conversation, self._emit)
        if chosen.out_of_band:
            self._aside[reply.id] = reply
        else:
            self.active = reply
            self._owed = False
        reply.created()
        return [Started(reply)]

    def _cancel(self, event: Json) -> Actions:
        wanted = event.get("response_id")
        reply = self.active
        if wanted is not None and (reply is None or reply.id != wanted):
            reply = self._aside.get(wanted)
        if reply is None:
            raise WireError(
                "response_cancel_not_active", "Cancellation failed: no active response found"
            )
        return [*self._stop(reply, "client_cancelled"), *self._next()]

    def _stop(self, reply: Reply, reason: str) -> Actions:
        reply.end("cancelled", reason)
        self._forget(reply)
        return [Stopped(reply)]

    def finish(
        self,
        reply: Reply,
        status: str = "completed",
        reason: str | None = None,
        error: Json | None = None,
    ) -> Actions:
        """The content of a response is complete, or ended early; nothing happens if it was over."""
        reply.end(status, reason, error)
        self._forget(reply)
        return self._next()

    def _forget(self, reply: Reply) -> None:
        self._aside.pop(reply.id, None)
        if self.active is reply:
            self.active = None

    # ----------------------------------------------------------------- what waits for the floor

    def nudge(self, words: str) -> Actions:
        """Say these words as soon as nobody speaks."""
        self._nudges.append(words)
        return self._next()

    def _next(self) -> Actions:
        """Start what waits for the floor, if it is free: first an owed answer, then a nudge."""
        if self._writes or self.active is not None or self.speech is not None:
            return []
        if self._owed:
            return self._start(plan(self.session, {}, None))
        # Without turn detection, uncommitted sound means that the person is speaking.
        if not self._nudges or (self.turn_detection is None and self._buffer):
            return []
        return self._start(replace(plan(self.session, {}, None), words=self._nudges.popleft()))


_FULL = WireError(
    "input_audio_buffer_full",
    "The input audio buffer holds 60 seconds; commit or clear it. Further audio is dropped.",
    "audio",
)

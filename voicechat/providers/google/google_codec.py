"""Gemini Live: one connection's translation between its wire and the vocabulary.

The wire has turns but no ids, no cancel, no truncation and no request for a response: the server
answers whatever ends a turn. `google_turns` turns that into responses and items; this module writes
the frames of the commands.

History is sent as content before any live input. A typed message waits for `CreateResponse`,
unless a response runs: then it is sent at once, which ends the response. A model that takes content
only as history gets later messages with the next typed one.

Sources: Gemini API reference, "Live API - WebSockets" (client messages); guides "Session
management" and "Live API capabilities".
"""

from __future__ import annotations

import re
import secrets
from binascii import b2a_base64
from collections import deque
from dataclasses import replace

import msgspec

from voicechat.core.commands import (
    AppendAudio,
    ClearAudio,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    SeedCall,
    SeedResult,
    ToolResult,
    UpdateSession,
)
from voicechat.core.events import Event
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import CONVERSATION_ONLY, AudioFormat, SessionSettings
from voicechat.core.settings_updates import TOOLS
from voicechat.errors import Secret
from voicechat.providers.call_messages import CallMessages
from voicechat.providers.google import google_events
from voicechat.providers.google.google_address import is_token
from voicechat.providers.google.google_calls import OpenCalls
from voicechat.providers.google.google_client_events import GOOGLE_EVENTS
from voicechat.providers.google.google_setup import (
    INPUT_RATE,
    OUTPUT_RATE,
    Message,
    context,
    fixed,
    setup,
    traits,
    unsupported,
    update,
)
from voicechat.providers.google.google_tools import wire_names
from voicechat.providers.google.google_turns import GeminiTurns
from voicechat.providers.json_fields import as_list, as_text, encode, fields
from voicechat.system.dial_target import DialTarget

SHORTEST_TURN_MS = 150.0
"""A manual turn is sent once it has lasted this long, because it cannot be withdrawn."""

SLOW_PONGS_S = 45.0
"""Pongs take 8 to 30 s while the connection works."""

MOST_HELD = 32
"""Most messages that wait for the next typed one; the oldest ones are dropped."""

_DECLARATION = re.compile(r"function_?declarations\[(\d{1,4})\]", re.IGNORECASE)
"""Place of a tool in the reason of a closed connection, such as
`BidiGenerateContentRequest.setup.tools[0].function_declarations[3].parameters: …`."""


class GoogleCodec:
    """One connection. Make a new one for every connection."""

    client_events = GOOGLE_EVENTS

    def __init__(
        self, url: str, model: str, key: Secret | None = None, *, tag: str | None = None
    ) -> None:
        """Prepare a connection to `url`; `tag` becomes part of all ids of this connection.

        A key that begins with `auth_tokens/` is a short-lived token.
        """
        its = traits(model)
        self.capabilities = replace(
            CONVERSATION_ONLY,
            speed_range=None,
            truncate=False,
            cancel=False,
            semantic_vad=False,
            text_output=its.writes,
            commit_starts_response=True,
            input_rates=(INPUT_RATE,),
            output_rates=(OUTPUT_RATE,),
            remote_tools=False,
            speech_end=False,
            text_leads=False,
            resumes=True,
            patience_s=SLOW_PONGS_S,
            pictures=(Kind.PNG, Kind.JPEG, Kind.WEBP),
            tool_pictures=False,
        )
        self.stale = False
        self.at_once = False
        """Send each typed message at once, and insert no user items; set it before any call."""
        self._model = model
        self._its = its
        self._endpoint = DialTarget(url, _shown(key) if key else {})
        self._turns = GeminiTurns(tag or secrets.token_hex(3))
        self._setup: Message = {}
        self._settings: SessionSettings | None = None
        self._spoken = False
        self._resumed = False
        self._heard = AudioFormat(rate=INPUT_RATE)
        self._seeding = False
        self._typed: CreateMessage | None = None
        self._held: deque[str] = deque(maxlen=MOST_HELD)
        """Texts for a model that takes no content any more."""
        self._unsent: list[bytes] | None = None
        """Audio of a manual turn that was not sent yet; None during a sent turn or with VAD."""
        self._calls = OpenCalls(cancelled_by_input=its.cancels_calls)
        self._wire_names: dict[str, str] = {}
        self._call_messages = CallMessages()

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        return self._endpoint

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return the setup, which must be the first frame."""
        self._settings = settings
        self._setup = setup(self._model, settings, resume)
        if self.at_once:
            self._setup.pop("historyConfig", None)
        self._name_tools(settings)
        self._resumed = bool(resume)
        self._seeding = "historyConfig" in self._setup
        self._spoken = self._setup_says_audio()
        self._heard = settings.input_format.decoded
        self._turns.manual = settings.turn_detection is None
        self._unsent = [] if self._turns.manual else None
        return [encode({"setup": self._setup})]

    def _name_tools(self, settings: SessionSettings) -> None:
        self._wire_names = wire_names(settings.tools)
        self._turns.tool_names = {wire: own for own, wire in self._wire_names.items()}

    def _setup_says_audio(self) -> bool:
        return "outputAudioTranscription" in self._setup

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that this provider does not support."""
        return unsupported(self._model, settings)

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that needs a new connection.

        The session makes one between two turns when this codec is `stale`.
        """
        before = self._settings
        if before is None:
            return []
        names = ("voice", "output", "temperature", "max_output_tokens", "transcription")
        early = () if self._its.updates else ("instructions", "tools")
        return [
            f"{name} changes between two turns, with a new connection."
            for name in (*names, *early)
            if getattr(before, name) != getattr(settings, name)
        ]

    def refused_part(self, reason: str) -> str | None:
        """Return the key of the tool that this reason names by its place in the setup."""
        place = _DECLARATION.search(reason)
        if place is None:
            return None
        groups = as_list(self._setup.get("tools"))
        declared = [each for g in groups for each in as_list(fields(g).get("functionDeclarations"))]
        named = [as_text(fields(each).get("name")) for each in declared][int(place[1]) :]
        return f"{TOOLS}.{self._turns.tool_names.get(named[0], named[0])}" if named else None

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        self._turns.inserts_user_items = not self.at_once
        return self._calls.follow(
            google_events.read(self._turns, frame, spoken=self._spoken, resumed=self._resumed)
        )

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if the wire has no such command.

        Of the frames for a block of audio, only the last may be dropped.
        """
        match command:
            case AppendAudio(pcm):
                return self._append(pcm)
            case CommitAudio():
                return self._commit()
            case ClearAudio():
                return self._clear()
            case UpdateSession(settings):
                return self._update(settings)
            case CreateMessage():
                return self._create(command)
            case CreateResponse():
                return self._respond(command)
            case ToolResult():
                return self._answer(command)
            case SeedCall() | SeedResult():
                message = self._call_messages.add(command)
                return self._create(message) if message is not None else []
            case _:
                return []

    # ----------------------------------------------------------------- settings

    def _update(self, settings: SessionSettings) -> list[str | bytes]:
        """Later models can change instructions and tools; the rest needs a new connection."""
        if not self._setup:
            return self.opening(settings)
        asked = setup(self._model, settings)
        lasting = {"sessionResumption", "historyConfig"}
        now = {name: value for name, value in fixed(asked).items() if name not in lasting}
        before = {n: value for n, value in fixed(self._setup).items() if n not in lasting}
        changed = context(self._model, settings)
        known: Message = {
            n: self._setup[n] for n in ("systemInstruction", "tools") if n in self._setup
        }
        self.stale = now != before or (changed != known and not self._its.updates)
        if changed == known or not self._its.updates:
            return []
        self._name_tools(settings)
        self._setup = {**fixed(self._setup), **changed}
        return [encode({"contextUpdate": update(known, changed)})]

    # ----------------------------------------------------------------- audio

    def _append(self, pcm: bytes) -> list[str | bytes]:
        frames = [*self._flush(), *self._end_history()]
        if self._unsent is None:
            return [*frames, self._sound(pcm)]
        self._unsent.append(pcm)
        if self._heard.ms(sum(map(len, self._unsent))) < SHORTEST_TURN_MS:
            return frames
        waited, self._unsent = self._unsent, None
        return [*frames, *self._begin_turn(waited)]

    def _begin_turn(self, waited: list[bytes]) -> list[str | bytes]:
        self._calls.note_input()
        return [_live({"activityStart": {}}), self._sound(b"".join(waited))]

    def _sound(self, pcm: bytes) -> str:
        # Formatted by hand: this frame is sent fifty times a second.
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        kind = f"audio/pcm;rate={self._heard.rate}"
        return f'{{"realtimeInput":{{"audio":{{"data":"{sound}","mimeType":"{kind}"}}}}}}'

    def _commit(self) -> list[str | bytes]:
        frames = [*self._flush(), *self._end_history()]
        self._turns.commits = True
        if not self._turns.manual:
            return [*frames, _live({"audioStreamEnd": True})]
        if self._unsent is not None:
            frames += self._begin_turn(self._unsent)
        self._unsent = []
        return [*frames, _live({"activityEnd": {}})]

    def _clear(self) -> list[str | bytes]:
        """End a turn that was sent: audio cannot be withdrawn."""
        if not self._turns.manual:
            return []
        begun, self._unsent = self._unsent is None, []
        return [_live({"activityEnd": {}})] if begun else []

    # ----------------------------------------------------------------- messages and answers

    def _create(self, message: CreateMessage) -> list[str | bytes]:
        self._turns.typed(message.item_id)
        frames = self._flush()
        if message.role != "user":
            return [*frames, *self._note(message)]
        if self._turns.response is not None or self.at_once:
            return [*frames, *self._end_history(), *self._say(message)]
        self._typed = message
        return frames

    def _flush(self) -> list[str | bytes]:
        """Send a waiting message as history."""
        message, self._typed = self._typed, None
        return self._note(message) if message is not None else []

    def _note(self, message: CreateMessage) -> list[str | bytes]:
        """Send a message that asks for no answer, or hold it until one does."""
        if self._seeding or self._its.takes_content:
            return [_content(message)]
        if message.role != "assistant" and message.text:
            self._held.append(message.text)
        return []

    def _end_history(self) -> list[str | bytes]:
        begun, self._seeding = self._seeding, False
        return [encode({"clientContent": {"turnComplete": True}})] if begun else []

    def _say(self, message: CreateMessage) -> list[str | bytes]:
        self._turns.pending = True
        self._calls.note_input()
        if self._its.generation < 3:
            return [_content(message, complete=True)]
        # The server answers text only, so a picture needs some.
        text = message.text or "(This is a picture.)"
        message = replace(message, text="\n\n".join([*self._held, text]))
        self._held.clear()
        if message.picture is None:
            return [_live({"text": message.text})]
        # Live text does not see a picture that was sent as live video before it.
        if self._its.takes_content:
            return [_content(message, complete=True)]
        return [_live({"video": _blob(message.picture)}), _live({"text": message.text})]

    def _respond(self, command: CreateResponse) -> list[str | bytes]:
        if command.out_of_band:
            return []
        frames = self._end_history()
        if self._typed is not None:
            message, self._typed = self._typed, None
            return [*frames, *self._say(message)]
        if self._turns.pending:
            return frames
        self._turns.pending = True
        self._calls.note_input()
        if self._its.takes_content:
            return [*frames, encode({"clientContent": {"turnComplete": True}})]
        text = "\n\n".join(self._held) or "(Please go on.)"
        self._held.clear()
        return [*frames, _live({"text": text})]

    def _answer(self, result: ToolResult) -> list[str | bytes]:
        name = self._calls.take(result.call_id, result.name)
        if name is None:
            return []
        answer: Message = {
            "id": result.call_id,
            "name": self._wire_names.get(name, name),
            "response": _object(result.output, failed=result.failed),
        }
        self._turns.pending = True
        return [*self._end_history(), encode({"toolResponse": {"functionResponses": [answer]}})]


def _shown(key: Secret) -> dict[str, Secret]:
    if is_token(key):
        return {"Authorization": Secret(f"Token {key.reveal()}")}
    return {"x-goog-api-key": key}


def _live(said: Message) -> str:
    return encode({"realtimeInput": said})


def _content(message: CreateMessage, *, complete: bool = False) -> str:
    role = "model" if message.role == "assistant" else "user"
    parts: list[Message] = []
    if message.picture is not None:
        parts.append({"inlineData": _blob(message.picture)})
    if message.text or not parts:
        parts.append({"text": message.text})
    turn = {"role": role, "parts": parts}
    return encode({"clientContent": {"turns": [turn], "turnComplete": complete}})


def _blob(picture: Picture) -> Message:
    data = b2a_base64(picture.data, newline=False).decode("ascii")
    return {"data": data, "mimeType": picture.media_type}


def _object(output: str, *, failed: bool) -> Message:
    """Return a tool's result as a JSON object, which the wire requires."""
    try:
        value: object = msgspec.json.decode(output)
        msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        value = output
    if failed:
        return value if isinstance(value, dict) and "error" in value else {"error": value}
    return {"output": value}

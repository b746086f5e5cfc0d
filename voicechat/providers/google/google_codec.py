"""Gemini Live: one connection's translation between its wire and the vocabulary.

The wire has turns and no ids, no cancel, no truncation and no request for a response: the
server answers by itself whatever ends a turn. How that becomes responses and items is in
`google_turns`; here the commands find their frames.

History goes out as content before anything live does. What a person types waits for the
request to answer it, unless a reply is running: then it goes out at once, which ends the reply.
"""

from __future__ import annotations

import secrets
from binascii import b2a_base64

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
from voicechat.core.events import Event, ToolCallReady, ToolCallsCancelled
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import AudioFormat, Capabilities, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.call_summaries import Retelling
from voicechat.providers.google import google_events
from voicechat.providers.google.google_setup import (
    HEARD_RATE,
    SPOKEN_RATE,
    Message,
    context,
    fixed,
    setup,
    traits,
    unsupported,
    update,
)
from voicechat.providers.google.google_turns import Turns
from voicechat.providers.json_fields import encode
from voicechat.system.dial_target import DialTarget

URL = "wss://generativelanguage.googleapis.com"
"""Where the service is when nobody says otherwise."""

SERVICE = "/ws/google.ai.generativelanguage.{}.GenerativeService.{}"

SLIP_MS = 150.0
"""A manual turn is announced when it has lasted this long: there is no way to take one back."""

SLOW_PONGS_S = 45.0
"""Its pongs take 8 to 30 s, while everything else goes on."""

_OPEN_CALLS = 256


def address(base_url: str, *, token: bool = False) -> str:
    """The socket's address at a host; short-lived tokens have a method of their own."""
    method = "BidiGenerateContentConstrained" if token else "BidiGenerateContent"
    return base_url.rstrip("/") + SERVICE.format("v1alpha" if token else "v1beta", method)


class GoogleCodec:
    """One connection. Make a new one for every connection."""

    def __init__(
        self, url: str, model: str, key: Secret | None = None, *, tag: str | None = None
    ) -> None:
        """`url` is a complete ws(s) address; `tag` stands in all ids of this connection.

        A key that begins with `auth_tokens/` is a short-lived token.
        """
        its = traits(model)
        self.capabilities = Capabilities(
            speed_range=None,
            truncate=False,
            cancel=False,
            semantic_vad=False,
            text_output=its.writes,
            commit_starts_response=True,
            input_rates=(HEARD_RATE,),
            output_rates=(SPOKEN_RATE,),
            resumption=True,
            out_of_band=False,
            retrieve=False,
            delete=False,
            clear_output=False,
            remote_tools=False,
            speech_end=False,
            patience_s=SLOW_PONGS_S,
            pictures=(Kind.PNG, Kind.JPEG, Kind.WEBP),
        )
        self.stale = False
        self.at_once = False
        """Every message of the person is to be answered, and nothing is supposed that was not
        told; set it before anything else."""
        self._model = model
        self._its = its
        self._endpoint = DialTarget(url, _shown(key) if key else {})
        self._turns = Turns(tag or secrets.token_hex(3))
        self._setup: Message = {}
        self._settings: SessionSettings | None = None
        self._spoken = False
        self._resumed = False
        self._heard = AudioFormat(rate=HEARD_RATE)
        self._seeding = False
        self._typed: CreateMessage | None = None
        self._slip: list[bytes] | None = None
        """Sound of a manual turn that is not announced yet; None while one is or none is due."""
        self._calls: dict[str, str] = {}
        self._retelling = Retelling()

    def endpoint(self) -> DialTarget:
        """Where and how to dial."""
        return self._endpoint

    def admit(self, endpoint: DialTarget) -> None:
        """Dial there instead: the way in with a short-lived token."""
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """The setup, which must be the first frame; `resume` is the handle of a session before."""
        self._settings = settings
        self._setup = setup(self._model, settings, resume)
        if self.at_once:
            self._setup.pop("historyConfig", None)
        self._resumed = bool(resume)
        self._seeding = "historyConfig" in self._setup
        self._spoken = self._setup_says_audio()
        self._heard = settings.input_format.decoded
        self._turns.manual = settings.turn_detection is None
        self._slip = [] if self._turns.manual else None
        return [encode({"setup": self._setup})]

    def _setup_says_audio(self) -> bool:
        return "outputAudioTranscription" in self._setup

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """A sentence for each of these settings that this provider lacks."""
        return unsupported(self._model, settings)

    def later(self, settings: SessionSettings) -> list[str]:
        """A sentence for each of these settings that a new connection is needed for.

        One is made between two turns, by whoever sees that this codec is `stale`.
        """
        before = self._settings
        if before is None:
            return []
        names = ("voice", "output", "temperature", "max_output_tokens", "transcription")
        early = () if self._its.generation >= 3 else ("instructions", "tools")
        return [
            f"{name} changes between two turns, with a new connection."
            for name in (*names, *early)
            if getattr(before, name) != getattr(settings, name)
        ]

    def decode(self, frame: str | bytes) -> list[Event]:
        """The events in one frame. Never raises: a frame that cannot be read is `Unmapped`."""
        self._turns.supposes = not self.at_once
        events = google_events.read(self._turns, frame, spoken=self._spoken, resumed=self._resumed)
        for event in events:
            if isinstance(event, ToolCallReady):
                if len(self._calls) >= _OPEN_CALLS:
                    del self._calls[next(iter(self._calls))]
                self._calls[event.call_id] = event.name
            elif isinstance(event, ToolCallsCancelled):
                for call_id in event.call_ids:
                    self._calls.pop(call_id, None)
        return events

    def encode(self, command: Command) -> list[str | bytes]:
        """The frames that carry out one command; empty if this wire has no such command.

        Of the frames for a block of sound all but the last must not be dropped.
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
                told = self._retelling.told(command)
                return self._create(told) if told is not None else []
            case _:
                return []

    # ----------------------------------------------------------------- settings

    def _update(self, settings: SessionSettings) -> list[str | bytes]:
        """Instructions and tools can change, at later models; the rest needs a new connection."""
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
        updates = self._its.generation >= 3
        self.stale = now != before or (changed != known and not updates)
        if changed == known or not updates:
            return []
        self._setup = {**fixed(self._setup), **changed}
        return [encode({"contextUpdate": update(known, changed)})]

    # ----------------------------------------------------------------- the person's sound

    def _append(self, pcm: bytes) -> list[str | bytes]:
        frames = [*self._flush(), *self._end_history()]
        if self._slip is None:
            return [*frames, self._sound(pcm)]
        self._slip.append(pcm)
        if self._heard.ms(sum(map(len, self._slip))) < SLIP_MS:
            return frames
        waited, self._slip = self._slip, None
        return [*frames, _live({"activityStart": {}}), self._sound(b"".join(waited))]

    def _sound(self, pcm: bytes) -> str:
        # Written by hand: this is said fifty times a second.
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        kind = f"audio/pcm;rate={self._heard.rate}"
        return f'{{"realtimeInput":{{"audio":{{"data":"{sound}","mimeType":"{kind}"}}}}}}'

    def _commit(self) -> list[str | bytes]:
        frames = [*self._flush(), *self._end_history()]
        self._turns.commits = True
        if not self._turns.manual:
            return [*frames, _live({"audioStreamEnd": True})]
        if self._slip is not None:
            frames += [_live({"activityStart": {}}), self._sound(b"".join(self._slip))]
        self._slip = []
        return [*frames, _live({"activityEnd": {}})]

    def _clear(self) -> list[str | bytes]:
        """Sound that was sent cannot be taken back: a turn that was announced ends here."""
        if not self._turns.manual:
            return []
        begun, self._slip = self._slip is None, []
        return [_live({"activityEnd": {}})] if begun else []

    # ----------------------------------------------------------------- messages and answers

    def _create(self, message: CreateMessage) -> list[str | bytes]:
        self._turns.typed(message.item_id)
        frames = self._flush()
        if message.role != "user":
            return [*frames, _content(message)]
        if self._turns.reply is not None or self.at_once:
            return [*frames, *self._end_history(), *self._say(message)]
        self._typed = message
        return frames

    def _flush(self) -> list[str | bytes]:
        """What was typed and is not to be answered by itself goes to the history."""
        message, self._typed = self._typed, None
        return [_content(message)] if message is not None else []

    def _end_history(self) -> list[str | bytes]:
        begun, self._seeding = self._seeding, False
        return [encode({"clientContent": {"turnComplete": True}})] if begun else []

    def _say(self, message: CreateMessage) -> list[str | bytes]:
        self._turns.owed = True
        if self._its.generation < 3:
            return [_content(message, complete=True)]
        # Only words are answered; a picture waits for them.
        shown = [_live({"video": _blob(message.picture)})] if message.picture else []
        return [*shown, _live({"text": message.text or "(This is a picture.)"})]

    def _respond(self, command: CreateResponse) -> list[str | bytes]:
        if command.out_of_band:
            return []
        frames = self._end_history()
        if self._typed is not None:
            message, self._typed = self._typed, None
            return [*frames, *self._say(message)]
        if self._turns.owed:
            return frames
        self._turns.owed = True
        return [*frames, encode({"clientContent": {"turnComplete": True}})]

    def _answer(self, result: ToolResult) -> list[str | bytes]:
        name = self._calls.pop(result.call_id, "") or result.name
        answer: Message = {
            "id": result.call_id,
            "name": name,
            "response": _object(result.output, failed=result.failed),
        }
        if self._its.thinks:
            # The model answers when the last result of several is in, not at each of them.
            answer["scheduling"] = "SILENT" if self._calls else "INTERRUPT"
        self._turns.owed = True
        return [*self._end_history(), encode({"toolResponse": {"functionResponses": [answer]}})]


def is_token(key: Secret) -> bool:
    """Whether the key is a short-lived token."""
    return key.reveal().startswith("auth_tokens/")


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
    """A tool's answer as the JSON object that it must be."""
    try:
        value: object = msgspec.json.decode(output)
        msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        value = output
    if failed:
        return value if isinstance(value, dict) and "error" in value else {"error": value}
    return {"output": value}

"""The turns of a Gemini Live connection, which have no ids on the wire.

`GeminiTurns` takes one fact of a frame after another and returns the events it means. It generates
the ids of responses and items, decides to which turn a late piece belongs, and ends what the wire
leaves open. Facts arrive in any order.

    the user     transcript, speech_started, speech_stopped
    the model    audio, text, calls                 the first one opens a response
    the end      generated, ended, interrupted      the last two, or a call, end a response

The server answers text, tool results and the end of a manual turn without a request; until that
answer begins it is `pending`.

Source: Gemini API reference, "Live API - WebSockets", `BidiGenerateContentServerContent`; the
order of the facts was recorded from its sockets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    UserTranscript,
)
from voicechat.core.items import Usage
from voicechat.providers.json_fields import Samples, Stream


@dataclass(slots=True)
class UserTurn:
    """One spoken turn of the user."""

    item_id: str
    after: str | None = None
    """The item it follows."""
    text: str = ""
    announced: bool = False
    committed: bool = False
    final: bool = False
    answered: bool = False
    """The model's response to it began."""
    stream: Stream = field(default_factory=Stream)


@dataclass(slots=True)
class GeminiResponse:
    """One response of the model: at most one message, and calls."""

    response_id: str
    item_id: str
    message: bool = False
    """The message item was announced."""
    sounded: bool = False
    silent: bool = False
    """All its audio was sent."""
    spoken: Stream = field(default_factory=Stream)
    written: Stream = field(default_factory=Stream)
    samples: Samples = field(default_factory=Samples)


@dataclass(slots=True)
class GeminiTurns:
    """The state of the conversation on one connection."""

    tag: str
    """Part of every id, so that ids of two connections differ."""
    tool_names: Mapping[str, str] = field(default_factory=dict)
    """Names of the tools, by their names on the wire."""
    inserts_user_items: bool = True
    """A response without a known cause answers speech, so a user item is inserted before it."""
    manual: bool = False
    """The client marks the user's turns; the server detects none."""
    pending: bool = False
    """The server will answer what was sent, and that answer has not begun."""
    commits: bool = False
    """The client ended a spoken turn, and the answer has not begun."""
    response: GeminiResponse | None = None
    """The running response."""
    _past: GeminiResponse | None = None
    """The previous response, while late text may still belong to it."""
    _turn: UserTurn | None = None
    _going: bool = False
    """The server has not ended its turn: more may follow, even after a call."""
    _background: bool = False
    """The model works on after its turn and may start to speak."""
    _heard: bool = False
    """The user spoke since the last response began."""
    _last: str | None = None
    """The newest item."""
    _number: int = 0

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self.tag}_{self._number}"

    # ----------------------------------------------------------------- the user

    def typed(self, item_id: str) -> None:
        """Note an item that the client created."""
        self._last = item_id

    def speech_started(self) -> Iterator[Event]:
        """The user starts to speak."""
        self._heard = self._heard or self.response is None
        turn = self._turn
        if turn is None or turn.announced or turn.committed or turn.final:
            yield from self._begin_turn()
        yield from self._announce()

    def speech_stopped(self, audio_end_ms: float = 0.0) -> Iterator[Event]:
        """The user stops speaking."""
        turn = self._turn
        if turn is not None and not turn.committed:
            yield SpeechStopped(turn.item_id, audio_end_ms)
            yield from self._commit()

    def transcript(self, piece: object, *, finished: bool, interim: bool) -> Iterator[Event]:
        """Add a piece of the user's transcript; an `interim` one may still change."""
        if not isinstance(piece, str) or (not piece and not finished):
            return
        yield from self._turn_of_transcript()
        turn = self._turn
        if turn is None:
            return
        self._heard = self._heard or self.response is None
        if interim:
            words = Stream().piece(piece)
            yield UserTranscript(turn.item_id, turn.text + words, replace=True)
        elif words := turn.stream.piece(piece):
            turn.text += words
            yield UserTranscript(turn.item_id, words)
        if finished:
            if self.response is None and not self.manual:
                yield from self.speech_stopped()
            yield from self._finish_turn()

    def _turn_of_transcript(self) -> Iterator[Event]:
        """Begin a turn of the user unless the present one takes more transcript."""
        turn = self._turn
        if turn is not None and turn.final and not turn.text:
            turn.final = False
            yield InputCommitted(turn.item_id, turn.after)
        elif turn is None or turn.final or (turn.answered and self.response is None and turn.text):
            yield from self._begin_turn()
            if self.response is None and not self.manual:
                yield from self._announce()
            else:
                yield from self._commit()

    def _begin_turn(self) -> Iterator[Event]:
        yield from self._finish_turn()
        self._turn = UserTurn(self._id("user"), self._last)

    def _announce(self) -> Iterator[Event]:
        turn = self._turn
        if turn is not None and not turn.announced:
            turn.announced = True
            self._last = turn.item_id
            yield SpeechStarted(turn.item_id)

    def _commit(self) -> Iterator[Event]:
        turn = self._turn
        if turn is not None and not turn.committed:
            turn.committed = True
            if self._last == turn.after:
                self._last = turn.item_id
            yield InputCommitted(turn.item_id, turn.after)

    def _finish_turn(self) -> Iterator[Event]:
        turn = self._turn
        if turn is not None and not turn.final and (turn.announced or turn.committed):
            turn.final = True
            yield UserTranscript(turn.item_id, turn.text, final=True, replace=True)

    # ----------------------------------------------------------------- the model

    def audio(self, pcm: bytes) -> Iterator[Event]:
        """Add audio of the model."""
        yield from self._open()
        response = self.response
        assert response is not None
        yield from self._message(response)
        response.sounded = True
        if whole := response.samples.piece(pcm):
            yield AudioDelta(response.response_id, response.item_id, whole)

    def text(self, piece: object, *, spoken: bool) -> Iterator[Event]:
        """Add text of the model, spoken or written."""
        if not isinstance(piece, str) or not piece:
            return
        past = self._past
        late = spoken and past is not None and past.sounded and not (self.pending or self._heard)
        if self.response is None and not late:
            yield from self._open()
        response = self.response or past
        assert response is not None
        yield from self._message(response)
        stream = response.spoken if spoken else response.written
        if text := stream.piece(piece):
            yield TextDelta(response.response_id, response.item_id, text, spoken)

    def calls(
        self, calls: Iterable[tuple[str, str, str]], usage: Usage | None = None
    ) -> Iterator[Event]:
        """Add tool calls (id, name, arguments). They end the response."""
        yield from self._open()
        response = self.response
        assert response is not None
        for call_id, name, arguments in calls:
            known, item_id = call_id or self._id("call"), self._id("item")
            kind = ItemKind.TOOL_CALL
            yield OutputItemAdded(response.response_id, item_id, kind, known, name)
            yield ToolArgumentsDelta(response.response_id, item_id, known, arguments)
            yield ToolCallReady(response.response_id, item_id, known, name, arguments)
            yield OutputItemDone(response.response_id, item_id)
            self._last = known
        yield from self._close(usage=usage)
        self._going = True

    def _open(self) -> Iterator[Event]:
        """Begin a response unless one runs; it ends the user's turn."""
        if self.response is not None:
            return
        yield from self._answer()
        response = GeminiResponse(self._id("resp"), self._id("item"))
        self.response, self._past = response, None
        if self._turn is not None:
            self._turn.answered = True
        self._going, self._background = True, False
        self.pending = self.commits = self._heard = False
        yield ResponseCreated(response.response_id)

    def _answer(self) -> Iterator[Event]:
        """Commit the user's turn, or insert one whose transcript has yet to come."""
        turn = self._turn
        if turn is not None and not turn.answered:
            yield from self._commit()
            return
        unasked = not (self.pending or self._going or self._background or self.manual)
        if self.commits or (unasked and self.inserts_user_items):
            yield from self._begin_turn()
            yield from self._commit()

    def _message(self, response: GeminiResponse) -> Iterator[Event]:
        if not response.message:
            response.message = True
            self._last = response.item_id
            yield OutputItemAdded(response.response_id, response.item_id)

    # ----------------------------------------------------------------- ends

    def generated(self) -> Iterator[Event]:
        """The whole response was sent."""
        response = self.response
        if response is not None and response.sounded and not response.silent:
            response.silent = True
            yield AudioDone(response.response_id, response.item_id)

    def ended(
        self,
        usage: Usage | None = None,
        status: ResponseStatus = ResponseStatus.COMPLETED,
        reason: str | None = None,
        *,
        background: bool = False,
    ) -> Iterator[Event]:
        """The server's turn ends; a pending answer without content is an empty response."""
        if self.response is None and not self._going and (self.pending or self.commits):
            yield from self._open()
        if self.response is not None:
            yield from self._close(status, reason, usage)
        self._going, self._background = False, background

    def interrupted(self) -> Iterator[Event]:
        """The server stops its response: the user speaks, or the client sent something."""
        by_speech = not (self.pending or self.manual)
        if by_speech:
            turn = self._turn
            if turn is None or turn.answered or turn.final:
                yield from self._begin_turn()
            yield from self._announce()
        if self.response is not None:
            yield from self._close(ResponseStatus.CANCELLED, "turn_detected")
            self._past = None
            self._going = True

    def _close(
        self,
        status: ResponseStatus = ResponseStatus.COMPLETED,
        reason: str | None = None,
        usage: Usage | None = None,
    ) -> Iterator[Event]:
        response, self.response = self.response, None
        assert response is not None
        whole = status is ResponseStatus.COMPLETED
        if response.message:
            if whole and response.sounded and not response.silent:
                yield AudioDone(response.response_id, response.item_id)
            if whole:
                yield TextDone(response.response_id, response.item_id, None, response.sounded)
            yield OutputItemDone(response.response_id, response.item_id, whole)
        if self._turn is not None and self._turn.answered:
            yield from self._finish_turn()
        self._past = response
        yield ResponseDone(response.response_id, status, reason, None, usage)

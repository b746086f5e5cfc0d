"""The turns of a Gemini Live connection, which have no ids on the wire: who speaks, and what.

`Turns` is told one fact after another and gives the events it means. It makes up the ids of
responses and items, decides to which turn a late piece belongs, and ends what the wire leaves
open. Facts reach it in any order.

    the person   heard, spoke, fell_silent          words, and activity where it is told
    the model    sound, words, calls                contents; the first opens a response
    the end      generated, ended, interrupted      a response ends at the last two, or at a call

The server answers text, tool results and the end of a manual turn by itself; until that answer
begins it is `owed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
class Said:
    """What the person says in one turn."""

    item_id: str
    after: str | None = None
    """The item it stands behind."""
    text: str = ""
    announced: bool = False
    committed: bool = False
    final: bool = False
    answered: bool = False
    """The model's reply to it began."""
    stream: Stream = field(default_factory=Stream)


@dataclass(slots=True)
class Reply:
    """One response of the model: at most one message, and calls."""

    response_id: str
    item_id: str
    message: bool = False
    """The message item was announced."""
    sounded: bool = False
    silent: bool = False
    """All its sound was sent."""
    spoken: Stream = field(default_factory=Stream)
    written: Stream = field(default_factory=Stream)
    samples: Samples = field(default_factory=Samples)


@dataclass(slots=True)
class Turns:
    """The state of the conversation on one connection."""

    tag: str
    """Stands in every id, so that ids of two connections differ."""
    supposes: bool = True
    """A reply that nothing led to answers speech, which is given its place."""
    manual: bool = False
    """The person's turns are told by the client; the server finds none by itself."""
    owed: bool = False
    """Something was sent that the server answers by itself, and no answer began since."""
    commits: bool = False
    """A spoken turn was ended by the client, and no answer began since."""
    reply: Reply | None = None
    """The response that is being given."""
    _past: Reply | None = None
    """The response before, while words that come late may still be its own."""
    _said: Said | None = None
    _going: bool = False
    """The server has not ended its turn: more may come after a call, too."""
    _background: bool = False
    """The model works on after its turn and may speak up by itself."""
    _heard: bool = False
    """The person was heard since the last reply began."""
    _last: str | None = None
    """The newest item."""
    _number: int = 0

    def _id(self, kind: str) -> str:
        self._number += 1
        return f"{kind}_{self.tag}_{self._number}"

    # ----------------------------------------------------------------- the person

    def typed(self, item_id: str) -> None:
        """An item was made by the client."""
        self._last = item_id

    def spoke(self) -> Iterator[Event]:
        """The person began to speak."""
        self._heard = self._heard or self.reply is None
        said = self._said
        if said is None or said.announced or said.committed or said.final:
            yield from self._begin_said()
        yield from self._announce()

    def fell_silent(self, audio_end_ms: float = 0.0) -> Iterator[Event]:
        """The person stopped speaking."""
        said = self._said
        if said is not None and not said.committed:
            yield SpeechStopped(said.item_id, audio_end_ms)
            yield from self._commit()

    def heard(self, piece: object, *, finished: bool, interim: bool) -> Iterator[Event]:
        """Words of the person; `interim` ones may still change."""
        if not isinstance(piece, str) or (not piece and not finished):
            return
        yield from self._said_of_words()
        said = self._said
        if said is None:
            return
        self._heard = self._heard or self.reply is None
        if interim:
            words = Stream().piece(piece)
            yield UserTranscript(said.item_id, said.text + words, replace=True)
        elif words := said.stream.piece(piece):
            said.text += words
            yield UserTranscript(said.item_id, words)
        if finished:
            if self.reply is None and not self.manual:
                yield from self.fell_silent()
            yield from self._finish_said()

    def _said_of_words(self) -> Iterator[Event]:
        """See to it that there is a turn of the person which words that come now belong to."""
        said = self._said
        if said is not None and said.final and not said.text:
            said.final = False
            yield InputCommitted(said.item_id, said.after)
        elif said is None or said.final or (said.answered and self.reply is None and said.text):
            yield from self._begin_said()
            if self.reply is None and not self.manual:
                yield from self._announce()
            else:
                yield from self._commit()

    def _begin_said(self) -> Iterator[Event]:
        yield from self._finish_said()
        self._said = Said(self._id("user"), self._last)

    def _announce(self) -> Iterator[Event]:
        said = self._said
        if said is not None and not said.announced:
            said.announced = True
            self._last = said.item_id
            yield SpeechStarted(said.item_id)

    def _commit(self) -> Iterator[Event]:
        said = self._said
        if said is not None and not said.committed:
            said.committed = True
            if self._last == said.after:
                self._last = said.item_id
            yield InputCommitted(said.item_id, said.after)

    def _finish_said(self) -> Iterator[Event]:
        said = self._said
        if said is not None and not said.final and (said.announced or said.committed):
            said.final = True
            yield UserTranscript(said.item_id, said.text, final=True, replace=True)

    # ----------------------------------------------------------------- the model

    def sound(self, pcm: bytes) -> Iterator[Event]:
        """Sound of the model."""
        yield from self._open()
        reply = self.reply
        assert reply is not None
        yield from self._message(reply)
        reply.sounded = True
        if whole := reply.samples.piece(pcm):
            yield AudioDelta(reply.response_id, reply.item_id, whole)

    def words(self, piece: object, *, spoken: bool) -> Iterator[Event]:
        """Words of the model: what it says, or a written answer."""
        if not isinstance(piece, str) or not piece:
            return
        past = self._past
        late = spoken and past is not None and past.sounded and not (self.owed or self._heard)
        if self.reply is None and not late:
            yield from self._open()
        reply = self.reply or past
        assert reply is not None
        yield from self._message(reply)
        stream = reply.spoken if spoken else reply.written
        if text := stream.piece(piece):
            yield TextDelta(reply.response_id, reply.item_id, text, spoken)

    def calls(
        self, calls: Iterable[tuple[str, str, str]], usage: Usage | None = None
    ) -> Iterator[Event]:
        """Calls of tools: id, name and arguments. They end the response, whose results follow."""
        yield from self._open()
        reply = self.reply
        assert reply is not None
        for call_id, name, arguments in calls:
            known, item_id = call_id or self._id("call"), self._id("item")
            kind = ItemKind.TOOL_CALL
            yield OutputItemAdded(reply.response_id, item_id, kind, known, name)
            yield ToolArgumentsDelta(reply.response_id, item_id, known, arguments)
            yield ToolCallReady(reply.response_id, item_id, known, name, arguments)
            yield OutputItemDone(reply.response_id, item_id)
            self._last = known
        yield from self._close(usage=usage)
        self._going = True

    def _open(self) -> Iterator[Event]:
        """Begin a response unless one is being given; the person's turn ends with it."""
        if self.reply is not None:
            return
        yield from self._answer()
        reply = Reply(self._id("resp"), self._id("item"))
        self.reply, self._past = reply, None
        if self._said is not None:
            self._said.answered = True
        self._going, self._background = True, False
        self.owed = self.commits = self._heard = False
        yield ResponseCreated(reply.response_id)

    def _answer(self) -> Iterator[Event]:
        """Commit what the person said, or keep the place of what was said but not written yet."""
        said = self._said
        if said is not None and not said.answered:
            yield from self._commit()
            return
        unasked = not (self.owed or self._going or self._background or self.manual)
        if self.commits or (unasked and self.supposes):
            yield from self._begin_said()
            yield from self._commit()

    def _message(self, reply: Reply) -> Iterator[Event]:
        if not reply.message:
            reply.message = True
            self._last = reply.item_id
            yield OutputItemAdded(reply.response_id, reply.item_id)

    # ----------------------------------------------------------------- ends

    def generated(self) -> Iterator[Event]:
        """All of the reply was sent."""
        reply = self.reply
        if reply is not None and reply.sounded and not reply.silent:
            reply.silent = True
            yield AudioDone(reply.response_id, reply.item_id)

    def ended(
        self,
        usage: Usage | None = None,
        status: ResponseStatus = ResponseStatus.COMPLETED,
        reason: str | None = None,
        *,
        background: bool = False,
    ) -> Iterator[Event]:
        """The server's turn is over; one that was owed and had no content is an empty response."""
        if self.reply is None and not self._going and (self.owed or self.commits):
            yield from self._open()
        if self.reply is not None:
            yield from self._close(status, reason, usage)
        self._going, self._background = False, background

    def interrupted(self) -> Iterator[Event]:
        """The server stopped its reply: the person speaks, or something was sent to it."""
        by_speech = not (self.owed or self.manual)
        if by_speech:
            said = self._said
            if said is None or said.answered or said.final:
                yield from self._begin_said()
            yield from self._announce()
        if self.reply is not None:
            yield from self._close(ResponseStatus.CANCELLED, "turn_detected")
            self._past = None
            self._going = True

    def _close(
        self,
        status: ResponseStatus = ResponseStatus.COMPLETED,
        reason: str | None = None,
        usage: Usage | None = None,
    ) -> Iterator[Event]:
        reply, self.reply = self.reply, None
        assert reply is not None
        whole = status is ResponseStatus.COMPLETED
        if reply.message:
            if whole and reply.sounded and not reply.silent:
                yield AudioDone(reply.response_id, reply.item_id)
            if whole:
                yield TextDone(reply.response_id, reply.item_id, None, reply.sounded)
            yield OutputItemDone(reply.response_id, reply.item_id, whole)
        if self._said is not None and self._said.answered:
            yield from self._finish_said()
        self._past = reply
        error = None if status is not ResponseStatus.FAILED else f"The model gave up: {reason}."
        yield ResponseDone(reply.response_id, status, reason, error, usage)

"""The built-in STT engine: Moonshine in a worker process.

While the user speaks, the growing sound is decoded again and again. At a pause it is decoded at
once, so that the final text is ready when the pause proves to be the end of the turn. Each lane of
the worker decodes one utterance at a time; those at a pause go first.

The code in the worker is `moonshine_recognizer.py`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial
from voicechat.server.engine_worker import JobFailed, Worker, WorkerStopped
from voicechat.server.stt.word_followers import Group, WordFollowers, plain_words
from voicechat.server.worker_lanes import WorkerLane, WorkerLanes
from voicechat.speech.vad import VAD_RATE

_STEP_MS, _STEP_SHARE = 300, 0.1
"""New sound between two partial texts: 300 ms and a tenth of the utterance."""
_LONGEST = 300 * VAD_RATE * 2
_PIECE = 30 * VAD_RATE * 2
"""Most bytes of sound in one job: more than one decode takes, and less than the worker may leave
unread."""
_OPEN_WORDS, _OPEN_WORDS_OF_REQUESTS = 2, 10
"""Words at the end of a partial text that may change. A request that is chosen may differ early."""
_UNSURE = 64
"""Maximum number of unclear texts that are kept."""
_GUESSED = 0.3
"""Most chance that a turn ends with a request in place of the most likely text: half of a request
that goes on sounds almost like a whole one."""
_DECODE_S = 15.0
_TRIES = 3
_PAUSED, _GROWING = 0, 1


def bundled_model() -> Path | None:
    """Return the folder of the model in the package moonshine-voice; None if it is missing.

    Only the files of the model are used. The package itself is never imported.
    """
    from voicechat.server.stt.moonshine_model import FILES

    found = importlib.util.find_spec("moonshine_voice")
    if found is None or found.origin is None:
        return None
    folder = Path(found.origin).parent / "assets" / "tiny-en"
    return folder if all((folder / name).is_file() for name in FILES) else None


class MoonshineStt:
    """`SpeechToText` on a worker whose part `stt` is a `MoonshineRecognizer`.

    requests: what the assistant understands. A text that it understands replaces the most likely
    text that it does not, or that has unusual words, if the sound supports it nearly as well.
    None: the most likely text.
    lanes: the number of utterances that are decoded at the same time.
    """

    def __init__(
        self, worker: Worker, requests: KnownRequests | None = None, lanes: int = 1
    ) -> None:
        self._worker = worker
        self._requests = requests
        self._preparing: asyncio.Task[None] | None = None
        self._lanes = WorkerLanes("stt", lanes)
        self._numbers = itertools.count(1)

    async def open(self) -> None:
        """Start the worker. Raises `ServerError` on failure."""
        await self._worker.start()
        self._prepare()

    def _prepare(self) -> None:
        if self._requests is not None and self._preparing is None:
            self._preparing = asyncio.create_task(self._requests.load())

    def utterance(
        self, on_partial: Callable[[Partial], None], *, dictation: bool = False
    ) -> MoonshineUtterance:
        """Begin an utterance. `on_partial` is called on the loop with each new text.

        dictation: take the most likely text, and commit words early.
        """
        self._prepare()
        requests = None if dictation else self._requests
        return MoonshineUtterance(
            self._worker, self._lanes.acquire(), next(self._numbers), on_partial, requests
        )

    def is_unsure(self, text: str) -> bool:
        """Return True if this text was heard, and an unusual word in it was not clear."""
        return self._requests is not None and text in self._requests.unsure

    async def close(self) -> None:
        """Stop the worker."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        await self._worker.stop()


class KnownRequests:
    """The requests of an assistant, for recognition.

    is_request: tells if it understands a text. followers: returns the words that follow each other
    in its requests, for `WordFollowers`; called on another thread, may take a second.
    """

    def __init__(
        self, is_request: Callable[[str], bool], followers: Callable[[], Iterable[Group]]
    ) -> None:
        self.is_request = is_request
        self._make_followers = followers
        self._followers = WordFollowers()
        self._epoch = 0
        self.unsure: dict[str, None] = {}
        """The newest requests with unusual words that were not clear, the oldest first."""

    def note(self, request: str, *, clear: bool) -> None:
        """Remember if the unusual words of a request were clear."""
        self.unsure.pop(request, None)
        if not clear and self.is_request(request) and not self.is_usual(request):
            self.unsure[request] = None
            if len(self.unsure) > _UNSURE:
                self.unsure.pop(next(iter(self.unsure)))

    async def load(self) -> None:
        """Make the followers."""
        self._followers = await asyncio.to_thread(lambda: WordFollowers.of(self._make_followers()))

    def is_usual(self, request: str) -> bool:
        """Return True if the words of a request usually follow each other."""
        known = self._followers
        return not known.words or known.knows_all(plain_words(request))

    def send(self, worker: Worker, lane: WorkerLane) -> None:
        """Give the followers to the worker, unless it has them."""
        known = self._followers
        if known.words and self._epoch != worker.epoch:
            self._epoch = worker.epoch
            worker.post(lane.method("expect"), known.words, known.rows)


class MoonshineUtterance:
    """The speech of one turn: at most five minutes, the sound after that is dropped."""

    def __init__(
        self,
        worker: Worker,
        lane: WorkerLane,
        number: int,
        on_partial: Callable[[Partial], None],
        requests: KnownRequests | None = None,
    ) -> None:
        self._worker = worker
        self._requests = requests
        self._open_words = _OPEN_WORDS if requests is None else _OPEN_WORDS_OF_REQUESTS
        self._lane = lane
        self._is_open = True
        self._number = number
        self._on_partial = on_partial
        self._sound = bytearray()
        self._sent = 0
        self._sent_to = 0
        """The epoch of the worker that has the sound."""
        self._decoded = 0
        self._growing: asyncio.Task[Partial] | None = None
        self._settling: asyncio.Task[Partial] | None = None

    def feed(self, pcm: bytes) -> None:
        """Add sound, PCM16 mono at 16 kHz. Never blocks."""
        self._sound += pcm[: _LONGEST - len(self._sound)]
        step = _STEP_MS * VAD_RATE // 500 + int(len(self._sound) * _STEP_SHARE)
        busy = self._settling is not None or (
            self._growing is not None and not self._growing.done()
        )
        if not busy and len(self._sound) - self._decoded >= step:
            self._growing = asyncio.create_task(self._decode(_GROWING))
            self._growing.add_done_callback(_retrieved)

    def settle(self) -> None:
        """Recognize all sound now; the text arrives as a partial unless `resume` is called."""
        if self._settling is None:
            self._settling = asyncio.create_task(self._decode(_PAUSED))
            self._settling.add_done_callback(_retrieved)

    def resume(self) -> None:
        """Undo `settle`: the user continues to speak."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    async def finish(self) -> str:
        """End the utterance and return its text; empty when no words were recognized.

        Restarts a worker that crashed and repeats the utterance. Raises `ServerError` if that
        fails.
        """
        self.settle()
        assert self._settling is not None
        try:
            return (await self._settling).text
        finally:
            self.drop()

    def drop(self) -> None:
        """Discard the utterance."""
        for task in (self._growing, self._settling):
            if task is not None:
                task.cancel()
        self._on_partial = _ignore
        self._lane.users -= self._is_open
        self._is_open = False
        if self._sent_to == self._worker.epoch:
            self._worker.post(self._lane.method("drop"), self._number)

    async def _decode(self, priority: int) -> Partial:
        """Recognize the sound so far, in its turn, and report the text."""
        end, left = len(self._sound), True
        partial = Partial("")
        while left:
            async with self._lane.turn(priority):
                heard, committed, left = await self._ask(end, ended=priority == _PAUSED)
                text = heard
                if priority == _PAUSED and not left:
                    text = await self._understood(heard)
            partial = Partial(text, committed, 1.0 if text == heard else _GUESSED)
            self._decoded = end
            self._on_partial(partial)
        if priority == _PAUSED:
            partial = Partial(await self._heard_again(partial.text), partial.committed)
        return partial

    async def _understood(self, text: str) -> str:
        """Return the text, or a request in place of a text that is none, or an unusual one."""
        known = self._requests
        if not text or known is None:
            return text
        is_request = known.is_request(text)
        if is_request and known.is_usual(text):
            return text
        known.send(self._worker, self._lane)
        return await self._nearest(known, text, is_request=is_request, again=False)

    async def _heard_again(self, text: str) -> str:
        """Return a request in place of a text that is none, from a second hearing.

        It is no partial text: half of a sentence that the user continues would end their turn.
        """
        known = self._requests
        if not text or known is None or known.is_request(text) or self._lane.is_wanted:
            return text
        async with self._lane.turn(_PAUSED):
            return await self._nearest(known, text, is_request=False, again=True)

    async def _nearest(
        self, known: KnownRequests, text: str, *, is_request: bool, again: bool
    ) -> str:
        try:
            others, clear = await self._worker.call(
                self._lane.method("alternatives"),
                self._number,
                is_request,
                again,
                deadline=_DECODE_S,
            )
        except ServerError:
            return text
        understood = next(filter(known.is_request, others), text)
        known.note(understood, clear=clear)
        return understood

    async def _ask(self, end: int, *, ended: bool) -> tuple[str, str, bool]:
        for _ in range(_TRIES):
            if not self._worker.alive:
                await self._worker.start()
            if self._sent_to != self._worker.epoch:
                self._sent_to, self._sent = self._worker.epoch, 0
            before = self._sent
            self._sent = max(before, min(end, before + _PIECE))
            new = bytes(self._sound[before : self._sent])
            try:
                text, committed, left = await self._worker.call(
                    self._lane.method("decode"),
                    self._number,
                    before,
                    new,
                    ended,
                    self._open_words,
                    deadline=_DECODE_S,
                )
                return text, committed, left or self._sent < end
            except JobFailed:
                # The worker may have only a part of the sound, after a canceled job.
                self._sent = 0
            except WorkerStopped:
                pass
        raise ServerError("The speech recognizer failed.", "Say that again.")


def _ignore(_partial: Partial) -> None:
    """Take no more partial texts."""


def _retrieved(task: asyncio.Task[Partial]) -> None:
    """Mark the exception of a partial text as seen: `finish` reports failures."""
    if not task.cancelled():
        task.exception()

"""The transcript of one recording: sent as it is if a provider takes it, or cut into pieces.

recording ── small enough ─────────────────────────── recognizer ── transcript
    └── decoder ── pieces ── a few at a time ── recognizer ── finished pieces ──┘
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voicechat.core.items import Usage
from voicechat.core.recorded_speech import (
    RecordedSpeech,
    TimedSegment,
    joined,
    relabeled,
    shifted,
    within,
)
from voicechat.errors import BudgetSpent, VoicechatError, first_error
from voicechat.providers.transcription_catalog import RecordingChoice
from voicechat.providers.transcription_service import SpeakerReference, UploadedSound
from voicechat.system.task_group import TaskGroup
from voicechat.transcription.finished_pieces import FinishedPieces, finished_pieces
from voicechat.transcription.known_speakers import KnownSpeakers
from voicechat.transcription.recording_decoder import DecodedSound, decoded
from voicechat.transcription.recordings import Recording
from voicechat.transcription.sound_pieces import RecordedPiece, cut_by_speech, cut_in_silences

if TYPE_CHECKING:
    from voicechat.transcription.embedded_recognizer import EmbeddedRecognizer
    from voicechat.transcription.hosted_recognizer import HostedRecognizer

PIECE_S = 120.0
"""Seconds of a piece; three of them are in memory while they are sent."""

DIARIZED_S = 720.0
"""Seconds of a piece whose speakers are told apart; 23 MB as WAV."""

CERTAINLY_SHORT = 2_000_000
"""Bytes of a file that is sent without a look at its length."""


class SpendingCounter(Protocol):
    """Counts what is spent."""

    def spend(self, usage: Usage) -> None:
        """Count a usage."""
        ...

    async def allows_more(self) -> bool:
        """Return False if the budget is used up."""
        ...

    @property
    def error(self) -> BudgetSpent:
        """The error for a piece that is not transcribed."""
        ...


@dataclass(frozen=True, slots=True)
class Advance:
    """How far a recording is transcribed."""

    done_s: float
    total_s: float | None
    """Length of the recording; None if it is unknown."""
    earlier_s: float = 0.0
    """Seconds that an earlier run has transcribed."""


class RecordingTranscriber:
    """Transcribes recordings, any number at the same time.

    notify    receives sentences for the user
    resumes   keep finished pieces on the disk
    """

    def __init__(
        self,
        choice: RecordingChoice,
        hosted: HostedRecognizer | None,
        embedded: EmbeddedRecognizer | None,
        spending: SpendingCounter,
        *,
        notify: Callable[[str], None],
        resumes: bool = True,
    ) -> None:
        self._choice = choice
        self._hosted, self._embedded = hosted, embedded
        self._spending = spending
        self._notify = notify
        self._resumes = resumes
        lanes = hosted.lanes if hosted is not None else embedded.lanes if embedded else 1
        self._lanes = asyncio.Semaphore(lanes)
        self._kept: dict[Path, FinishedPieces] = {}

    async def transcribe(
        self, recording: Recording, advance: Callable[[Advance], None] = lambda _: None
    ) -> RecordedSpeech:
        """Return the transcript of a recording. Raises `VoicechatError`."""
        if self._hosted is not None and recording.size <= CERTAINLY_SHORT and self._may_be_whole:
            return await self._whole(recording, 0.0)
        takes_whole = recording.size <= self._most_bytes and self._may_be_whole
        if takes_whole and recording.format.needs_media:
            return await self._whole(recording, 0.0)  # its length needs a package
        async with decoded(recording.name, recording.path, recording.format) as sound:
            is_short = sound.seconds is not None and sound.seconds <= self._most_seconds
            if not (takes_whole and is_short):
                return await self._in_pieces(recording, sound, advance)
        return await self._whole(recording, sound.seconds or 0.0)

    def saved(self, recording: Recording) -> None:
        """Forget the finished pieces of a recording, whose transcript the user has now."""
        if (kept := self._kept.pop(recording.path, None)) is not None:
            kept.forget()

    @property
    def may_continue(self) -> bool:
        """True if another run can continue an interrupted one."""
        return any(kept.is_kept for kept in self._kept.values())

    # ----------------------------------------------------------------- what the model takes

    @property
    def _may_be_whole(self) -> bool:
        return self._hosted is not None and not self._is_cut_by_speech

    @property
    def _is_cut_by_speech(self) -> bool:
        service, job = self._choice.service, self._choice.job
        return service is None or bool(job.wishes.times and not service.gives_times(job.model))

    @property
    def _most_bytes(self) -> int:
        return self._choice.service.most_bytes if self._choice.service else 0

    @property
    def _most_seconds(self) -> float:
        return self._choice.service.most_seconds if self._choice.service else 0.0

    # ----------------------------------------------------------------- as it is

    async def _whole(self, recording: Recording, seconds: float) -> RecordedSpeech:
        sound = UploadedSound(
            recording.format.media_type,
            recording.format.suffix,
            path=recording.path,
            seconds=seconds,
        )
        assert self._hosted is not None
        async with self._lanes:
            await self._require()
            speech = await self._hosted.recognize(sound)
        self._spending.spend(speech.usage)
        return speech

    async def _require(self) -> None:
        if not await self._spending.allows_more():
            raise self._spending.error

    # ----------------------------------------------------------------- in pieces

    async def _in_pieces(
        self, recording: Recording, sound: DecodedSound, advance: Callable[[Advance], None]
    ) -> RecordedSpeech:
        job = self._choice.job
        kept: FinishedPieces | None = None
        if self._resumes:
            kept = await asyncio.to_thread(
                finished_pieces, recording.path, self._choice.name, job, self._notify
            )
            self._kept[recording.path] = kept
        service = self._choice.service
        known = service is not None and job.wishes.diarize and service.knows_speakers(job.model)
        pieces = _Pieces(sound, kept, advance, KnownSpeakers() if known else None)
        failure: VoicechatError | None = None
        try:
            async with aclosing(sound.blocks()) as blocks, TaskGroup() as tasks:
                async for piece in self._cut(blocks):
                    await self._lanes.acquire()
                    task = tasks.create_task(self._piece(piece, pieces.begin(), pieces))
                    # A task that is cancelled before it starts frees its lane, too.
                    task.add_done_callback(lambda _: self._lanes.release())
        except* VoicechatError as group:
            failure = first_error(group)
        finally:
            pieces.close()
        if failure is not None:
            raise failure
        found = pieces.transcripts()
        speech = joined(found if known else self._named_apart(found))
        speech = KnownSpeakers.checked(speech) if known else speech
        problem = f"{recording.name}: {sound.problem}" if sound.problem else ""
        warnings = (*speech.warnings, problem) if problem else speech.warnings
        return replace(speech, duration_s=sound.seconds or pieces.end_s, warnings=warnings)

    def _cut(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[RecordedPiece]:
        if self._is_cut_by_speech:
            embedded = self._embedded
            return cut_by_speech(blocks, embedded.speech_scores() if embedded else None)
        longest = DIARIZED_S if self._choice.job.wishes.diarize else PIECE_S
        return cut_in_silences(blocks, longest)

    async def _piece(self, piece: RecordedPiece, number: int, pieces: _Pieces) -> None:
        speakers = pieces.speakers
        async with nullcontext() if speakers is None else speakers.turn:
            speech = pieces.find(piece)
            if speech is None:
                speech = await self._recognize(piece, speakers.references if speakers else ())
                speech = speakers.labeled(number + 1, speech) if speakers else speech
                pieces.keep(piece, speech)
            if speakers is not None:
                speakers.remember(piece, speech)
        pieces.end(number, piece, speech)

    async def _recognize(
        self, piece: RecordedPiece, speakers: tuple[SpeakerReference, ...]
    ) -> RecordedSpeech:
        if self._embedded is not None:
            return await self._embedded.recognize(piece)
        assert self._hosted is not None
        await self._require()
        sound = UploadedSound("audio/wav", "wav", piece.wav, seconds=piece.seconds)
        speech = await self._hosted.recognize(sound, speakers)
        self._spending.spend(speech.usage)
        if self._is_cut_by_speech and speech.text and not speech.segments:
            segment = TimedSegment(speech.text, piece.lead_s, piece.seconds)
            speech = replace(speech, segments=(segment,))
        return replace(within(speech, piece.seconds), duration_s=piece.seconds)

    def _named_apart(self, pieces: list[RecordedSpeech]) -> list[RecordedSpeech]:
        """Give the speakers of each piece names of their own: a model knows one piece only."""
        if len(pieces) < 2 or not any(each.speakers for each in pieces):
            return pieces
        warning = "The speakers of each part are told apart on their own: 1-A may be 2-B."
        found = [
            relabeled(each, {label: f"{part}-{label}" for label in each.speakers})
            for part, each in enumerate(pieces, 1)
        ]
        found[0] = replace(found[0], warnings=(*found[0].warnings, warning))
        return found


class _Pieces:
    """The pieces of one recording in order, with what is finished."""

    def __init__(
        self,
        sound: DecodedSound,
        kept: FinishedPieces | None,
        advance: Callable[[Advance], None],
        speakers: KnownSpeakers | None,
    ) -> None:
        self._sound, self._kept, self._advance = sound, kept, advance
        self.speakers = speakers
        """The speakers that the model recognizes; None if it cannot."""
        self._transcripts: list[RecordedSpeech | None] = []
        self._earlier_s = 0.0
        self.end_s = 0.0
        """Seconds up to the end of the latest finished piece."""

    def begin(self) -> int:
        """Return the number of a new piece."""
        self._transcripts.append(None)
        return len(self._transcripts) - 1

    def find(self, piece: RecordedPiece) -> RecordedSpeech | None:
        """Return the transcript that an earlier run has made."""
        speech = self._kept.find(piece) if self._kept is not None else None
        if speech is not None:
            self._earlier_s += piece.seconds
        return speech

    def keep(self, piece: RecordedPiece, speech: RecordedSpeech) -> None:
        """Write the transcript of a piece to the disk."""
        if self._kept is not None:
            self._kept.add(piece, speech)

    def end(self, number: int, piece: RecordedPiece, speech: RecordedSpeech) -> None:
        """Take the transcript of a piece."""
        self._transcripts[number] = shifted(speech, piece.start_s)
        self.end_s = max(self.end_s, piece.start_s + piece.seconds)
        self._advance(Advance(self.end_s, self._sound.seconds, self._earlier_s))

    def transcripts(self) -> list[RecordedSpeech]:
        """Return all transcripts in order."""
        return [each for each in self._transcripts if each is not None]

    def close(self) -> None:
        """Close the file of the finished pieces."""
        if self._kept is not None:
            self._kept.close()

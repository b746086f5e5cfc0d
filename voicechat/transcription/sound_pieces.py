"""Pieces of a recording that are transcribed one by one, with the times at which they begin.

`cut_in_silences` returns all sound in long pieces, for models that give times themselves.
`cut_by_speech` returns only speech, in pieces as short as its pauses allow: the times of a piece
are the times of its words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from voicechat.core.settings import AudioFormat
from voicechat.core.wav_header import WAV_HEADER, wav_header
from voicechat.speech.vad import VAD_RATE
from voicechat.transcription.utterances import PAUSE_MS, Utterances

SEARCH_S = 60.0
"""Seconds before the longest end of a piece in which it may end."""

SILENCE_S = 0.4
"""Length in seconds of the quietest place, in whose middle a piece ends."""

_FRAME = VAD_RATE // 50
_SECOND = 2 * VAD_RATE
_STEP = 1_024
"""Bytes that the voice detector takes at a time, so that the start of speech is exact: a window."""
_DETECTION_S = 0.1
"""Seconds of speech after which it is detected."""
_TAIL_S = 0.2
"""Seconds after speech that belong to its piece."""


SpeechScoring = Callable[[bytes], Awaitable[list[float]]]
"""Returns how likely each window of the next sound of a recording is speech, 0 to 1. The sound
consists of whole windows of 32 ms."""


@dataclass(frozen=True, slots=True)
class RecordedPiece:
    """A part of a recording."""

    start_s: float
    wav: bytes = field(repr=False)
    """The sound as a WAV file: PCM16 mono at 16 kHz."""
    lead_s: float = 0.0
    """Seconds before its first word, as far as they are known."""

    @property
    def pcm(self) -> bytes:
        """The samples."""
        return self.wav[WAV_HEADER.size :]

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (len(self.wav) - WAV_HEADER.size) / _SECOND

    def part(self, start_s: float, length_s: float) -> bytes:
        """Return a part of the piece as a WAV file. Times are seconds from the piece's start."""
        start = WAV_HEADER.size + round(max(0.0, start_s) * VAD_RATE) * 2
        pcm = self.wav[start : start + round(length_s * VAD_RATE) * 2]
        return wav_header(VAD_RATE, len(pcm)) + pcm


def recorded_piece(
    start: int, pcm: bytes | bytearray | memoryview, lead_s: float = 0.0
) -> RecordedPiece:
    """Return the piece with these samples that begins at byte `start` of the recording's."""
    return RecordedPiece(start / _SECOND, b"".join((wav_header(VAD_RATE, len(pcm)), pcm)), lead_s)


async def cut_in_silences(
    blocks: AsyncIterator[bytes], longest_s: float
) -> AsyncIterator[RecordedPiece]:
    """Yield all sound in pieces of at most `longest_s` seconds that end in silences."""
    pending, start = bytearray(), 0
    longest = round(longest_s * VAD_RATE) * 2
    async for block in blocks:
        pending += block
        while len(pending) >= longest:
            end = _quietest(pending, longest)
            with memoryview(pending) as whole, whole[:end] as part:
                piece = recorded_piece(start, part)
            del pending[:end]
            start += end
            yield piece
            del piece  # it is large
    if pending:
        yield recorded_piece(start, pending)


def _quietest(pcm: bytearray, end: int) -> int:
    """Return the position in bytes of the quietest place in the last minute before `end`."""
    import numpy as np

    first = max(end - round(SEARCH_S * _SECOND), end // 2) // 2 * 2
    sound = np.frombuffer(bytes(pcm[first:end]), "<i2").astype(np.float32)
    frames = sound[: sound.size // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.einsum("ij,ij->i", frames, frames)
    width = min(round(SILENCE_S * VAD_RATE / _FRAME), int(power.size))
    sums = np.convolve(power, np.ones(width), "valid")
    # The last of equally quiet places, so that pieces are long.
    place = int(sums.size) - 1 - int(np.argmin(sums[::-1]))
    return first + (place + width // 2) * _FRAME * 2


class _ScoredWindows:
    """A voice detector whose decisions come from elsewhere, before it is asked."""

    window = _STEP // 2

    def __init__(self, score: SpeechScoring) -> None:
        self._score = score
        self._pending = b""
        self._scores: deque[float] = deque()

    async def hear(self, block: bytes) -> None:
        """Have the next sound scored."""
        self._pending += block
        whole = len(self._pending) // _STEP * _STEP
        self._scores += await self._score(self._pending[:whole])
        self._pending = self._pending[whole:]

    def probability(self, pcm: bytes) -> float:
        """Return the score of the next window."""
        return self._scores.popleft()

    def reset(self) -> None:
        """Do nothing: there is one stream."""


async def cut_by_speech(
    blocks: AsyncIterator[bytes], score: SpeechScoring | None = None
) -> AsyncIterator[RecordedPiece]:
    """Yield each utterance. `score` detects speech; None does it here.

    Raises `ServerError` without a voice detector, and what `score` raises.
    """
    scored = None if score is None else _ScoredWindows(score)
    utterances = Utterances(AudioFormat(rate=VAD_RATE), scored)
    received = onset = 0
    async for block in blocks:
        if scored is not None:
            await scored.hear(block)
        for begin in range(0, len(block), _STEP):
            part = block[begin : begin + _STEP]
            was_speaking = utterances.speaking
            utterances.add(part)
            received += len(part)
            if utterances.speaking and not was_speaking:
                onset = received
            while utterances.waiting and utterances.waiting[0].is_over:
                pcm = bytes(utterances.waiting.pop(0).pcm)
                # The next utterance may have begun with this one's end.
                start = received - sum(len(each.pcm) for each in utterances.waiting) - len(pcm)
                yield _spoken(pcm, start, onset)
    utterances.end_utterance()
    for utterance in utterances.waiting:
        yield _spoken(bytes(utterance.pcm), received - len(utterance.pcm), onset)


def _spoken(pcm: bytes, start: int, onset: int) -> RecordedPiece:
    """Return a piece without the pause that ended it. onset: where its speech was detected."""
    spare = round((PAUSE_MS / 1000 - _TAIL_S) * VAD_RATE) * 2
    kept = pcm[:-spare] if len(pcm) > 2 * spare else pcm
    return recorded_piece(start, kept, max(0.0, (onset - start) / _SECOND - _DETECTION_S))

"""Voice activity: webrtcvad behind a level gate, votes over recent frames, end of speech.

Frames are 10 ms at 16 kHz (160 samples). At normal sensitivity four voiced frames of five raise a
suspicion (about 50 ms after the onset), and nine of twelve confirm it. The gate rejects keyboards.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from voicechat.speech.pcm import Samples, dbfs, levels_dbfs
from voicechat.speech.webrtc_vad import voice_detector

RATE: Final = 16_000
FRAME: Final = 160

Sensitivity = Literal["off", "low", "normal", "high"]


class Votes(NamedTuple):
    """Numbers of voiced frames, of how many, that suspect and confirm speech."""

    suspect: tuple[int, int]
    confirm: tuple[int, int]
    above_floor_db: float


VOTES: dict[Sensitivity, Votes] = {
    "low": Votes((9, 11), (18, 21), 12.0),
    "normal": Votes((4, 5), (9, 12), 9.0),
    "high": Votes((3, 4), (7, 9), 7.0),
}
CAREFUL = Votes((14, 16), (27, 30), 14.0)
"""Votes used until the echo canceller has converged."""
GUARDED = Votes((8, 10), (12, 25), 9.0)
"""Votes used while the echo canceller is not trusted, on frames above the echo."""

_MIN_VOICE_DB = -50.0
_ACTIVITY_MARGIN_DB = 4.0
"""Margin in dB below the voice threshold in which a voice may begin."""
_HISTORY = 40


class VoiceGate:
    """VAD decision per frame: voiced, and louder than the room."""

    def __init__(self, above_floor_db: float = 9.0) -> None:
        self._is_voiced = voice_detector(3)
        self.above_floor_db = above_floor_db
        self.floor_db = -60.0
        self.level = -100.0
        """Level in dBFS of the latest frame."""

    @property
    def activity_db(self) -> float:
        """Level in dBFS above which a frame may be activity, voiced or not."""
        return max(_MIN_VOICE_DB, self.floor_db + self.above_floor_db) - _ACTIVITY_MARGIN_DB

    def voiced(self, frame: Samples) -> bool:
        """Return True if 160 samples are voiced."""
        return self._is_voice(frame, dbfs(frame))

    def judge(self, frames: Samples) -> Iterator[bool]:
        """Yield True for each voiced row of shape (frames, 160); `level` is that of the row."""
        return map(self._is_voice, frames, levels_dbfs(frames))

    def _is_voice(self, frame: Samples, level: float) -> bool:
        self.level = level
        voiced = bool(self._is_voiced(RATE, frame.tobytes(), len(frame)))
        self._track_floor(level, voiced)
        return voiced and level > max(_MIN_VOICE_DB, self.floor_db + self.above_floor_db)

    def _track_floor(self, level: float, voiced: bool) -> None:
        """Track the noise floor: falls at once, rises slowly, and slower still under voices."""
        if level < self.floor_db:
            self.floor_db += 0.2 * (level - self.floor_db)
        else:
            self.floor_db += min(level - self.floor_db, 0.005 if voiced else 0.03)
        self.floor_db = max(-90.0, self.floor_db)


class SpeechVotes:
    """The last 40 decisions as bits, newest lowest."""

    def __init__(self) -> None:
        self._bits = 0

    def add(self, voiced: bool) -> None:
        self._bits = ((self._bits << 1) | voiced) & ((1 << _HISTORY) - 1)

    def at_least(self, vote: tuple[int, int]) -> bool:
        """True if `vote[0]` of the last `vote[1]` frames were voiced."""
        count, of = vote
        return (self._bits & ((1 << of) - 1)).bit_count() >= count

    def silent_for(self, frames: int) -> bool:
        """True if at most one in ten of the last `frames` was voiced."""
        return (self._bits & ((1 << frames) - 1)).bit_count() <= frames // 10

    @property
    def oldest(self) -> int:
        """Age in frames of the oldest voiced one; 0 is the newest frame, -1 none."""
        return self._bits.bit_length() - 1

    def clear(self) -> None:
        self._bits = 0

    def __bool__(self) -> bool:
        """True if any of them was voiced."""
        return self._bits != 0


_SPEAKING: Final = (8, 12)
"""Voiced frames, of how many, that are speech and not a cough."""
_SILENT: Final = 25
"""Frames without a voice that end speech."""


class EndOfSpeech:
    """Detects the end of the user's speech, whether or not anything plays."""

    def __init__(self) -> None:
        self._votes = SpeechVotes()
        self._speaking = False
        self._last = 0.0

    def frame(self, voiced: bool, now: float) -> float | None:
        """Process 10 ms that end at `now` (monotonic s); return when speech ended, once certain."""
        self._votes.add(voiced)
        if voiced:
            self._last = now
        if not self._speaking:
            self._speaking = self._votes.at_least(_SPEAKING)
        elif self._votes.silent_for(_SILENT):
            self._speaking = False
            self._votes.clear()
            return self._last
        return None

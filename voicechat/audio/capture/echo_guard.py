"""Half duplex after a disturbance of the echo path, until the canceller has proved itself.

After a drop-out or a jump of the delay, the canceller leaves an echo that sounds like a user. If
that echo stopped the reply, it would end the sound from which the canceller learns, and stop the
next reply too. So the reply is played through, softer, and the microphone is silent meanwhile:

    proved ──disturbance──► unproved ──a second of playback without a voice──► proved

The user still gets through by a stricter rule: speech well above any echo, whose level is predicted
from the playback of the last half second, at any delay; or speech in what a linear filter leaves
that has canceled the echo since the disturbance. What the user says until then is kept.

Over playback with an echo, a proved canceller is gated too: the microphone is silent until the
voice detectors suspect a voice. Otherwise a provider could take what little is left for a user.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

import numpy as np

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.linear_aec import MIN_VOICE_DB
from voicechat.audio.capture.voice_activity import GUARDED, RATE, SpeechVotes
from voicechat.speech.pcm import SILENCE_DB, Samples, dbfs, interpolated_percentile
from voicechat.speech.webrtc_vad import voice_detector

_LOUD_DB: Final = -50.0
"""Level in dBFS above which the speaker sounds."""
_ECHO_FRAMES: Final = 50
"""Frames after which no echo of a sound arrives: the longest delay and a jump of it."""
_PROOF_FRAMES: Final = 100
"""Frames of playback without a voice that prove the canceller."""
_MIN_ERLE_DB: Final = 25.0
"""Echo reduction in dB of a canceller that works."""
_FIRST_ERLE_DB: Final = 15.0
"""The same of one that has just started."""
_ABOVE_FLOOR_DB: Final = 6.0
_INAUDIBLE_DB: Final = -58.0
"""Level in dBFS of an echo that is far from a voice."""
_MARGIN_DB: Final = 3.0
"""Margin in dB of a voice over the loudest echo that is possible."""
_RAISED_DB: Final = 6.0
"""Addition to the margin after stops in a row."""
_BLOCK: Final = 50
"""Frames in each measurement of the coupling."""
_BLOCKS: Final = 9
_PERCENTILE: Final = 75
"""Percentile of the measurements: some sounds have a louder echo, and in some the user speaks."""
_SUPPRESSED_DB: Final = 25.0
"""Attenuation by the canceller in dB that marks an echo."""
_HELD_FRAMES: Final = 40
"""Frames of speech kept until the rule is satisfied: what it takes, and the onset before it."""
_ONSET_FRAMES: Final = 12
"""Frames before the first voiced one that belong to the speech; older ones are only an echo."""
_QUIET_FRAMES: Final = 40
"""Frames without a voice that end a user's speech."""
_SUSPECT: Final = (3, 5)
"""Voiced frames, of how many, that may be a voice: before the reply is ducked."""
_OPENS: Final = (7, 9)
"""Voiced frames, of how many, that open the gate. A provider needs more to hear a voice."""
_DOUBT_FRAMES: Final = 10
"""Frames after the gate opened in which its voice may still prove to be an echo."""
_EARLY_MS: Final = 1_000.0
"""A stop this soon after the start of a reply may be caused by its echo."""
_MOST_STOPS: Final = 2
"""Early stops in a row that raise the threshold."""


class EchoCoupling:
    """Level of the echo relative to the loudest sound of the speaker in the last half second.

    Counts sound from when it was handed to the device: after a loss, the aligned far end may be
    later than its echo.
    """

    def __init__(self) -> None:
        self.db = 0.0
        """The coupling in dB; 0 until it is known."""
        self._far: deque[float] = deque([SILENCE_DB], maxlen=_ECHO_FRAMES)
        self._measured: deque[float] = deque(maxlen=_BLOCKS)
        self._frames = 0
        self._near_db = SILENCE_DB
        self._far_db = SILENCE_DB
        self.loudest_db = SILENCE_DB
        """The loudest sound of the speaker whose echo may still arrive, in dBFS."""

    @property
    def known(self) -> bool:
        """True once the coupling was measured."""
        return bool(self._measured)

    @property
    def expected_db(self) -> float:
        """Level in dBFS of the loudest echo that may arrive now."""
        return self.loudest_db + self.db

    def observe(self, near_db: float, far_db: float, handed_db: float = SILENCE_DB) -> None:
        """Process the levels of 10 ms of both sides in dBFS.

        handed_db: the loudest sound handed to the device whose echo may still come.
        """
        self._far.append(far_db)
        self.loudest_db = max(handed_db, *self._far)
        if self.loudest_db <= _LOUD_DB:
            self._frames, self._near_db, self._far_db = 0, SILENCE_DB, SILENCE_DB
            return
        self._frames += 1
        self._near_db = max(self._near_db, near_db)
        self._far_db = max(self._far_db, self.loudest_db)
        if self._frames >= _BLOCK:
            self._measured.append(self._near_db - self._far_db)
            self.db = interpolated_percentile(self._measured, _PERCENTILE)
            self._frames, self._near_db, self._far_db = 0, SILENCE_DB, SILENCE_DB


class EchoGuard:
    """Decides per 10 ms frame if the canceller is trusted, and if the user talks over the reply."""

    def __init__(self) -> None:
        self.unproved = False
        """True from a disturbance until the canceller has proved itself."""
        self._is_new = False
        """The same from when an echo was found."""
        self.active = False
        """True while the microphone is silent, or the user talks, because an echo may arrive."""
        self.gated = False
        """True over playback with an echo that a proved canceller removes."""
        self.talking = False
        """True while the user talks over a guarded or gated reply."""
        self.raised = False
        """True after early stops in a row."""
        self._coupling: Final = EchoCoupling()
        self._is_voiced = voice_detector(3)
        self._votes = SpeechVotes()
        self._gate_votes = SpeechVotes()
        self._open_frames = 0
        self._proof = 0
        self._starts_next = False
        """True if the next reply is guarded, but not what the user says before it."""
        self._early_stops = 0
        self._whole_replies = 0
        self.held: deque[tuple[Samples, Samples]] = deque()
        """Frames that wait in `pass_on`, each as it is with a voice and without one."""

    def found(self) -> None:
        """Note that there is an echo."""
        self._is_new = True
        self._proof = 0

    def allows(self, cleaned_db: float) -> bool:
        """Return False if the canceller's output, in dBFS, may be what it leaves of a new echo."""
        return not self._is_new or cleaned_db > self._coupling.expected_db - _FIRST_ERLE_DB

    def disturb(self) -> None:
        """Distrust the canceller until it has proved itself."""
        self.unproved = True
        self._proof = 0

    def stopped(self, heard_ms: float, *, has_echo: bool) -> None:
        """Note that a reply was stopped after `heard_ms`.

        Without a known echo, only stops in a row count.
        """
        if heard_ms >= _EARLY_MS:
            self._early_stops = 0
            return
        self._whole_replies = 0
        self._early_stops += 1
        in_a_row = self._early_stops >= _MOST_STOPS
        self.raised |= in_a_row and has_echo
        self._starts_next = in_a_row or has_echo

    def finished(self) -> None:
        """Note that a reply was heard to its end."""
        self._early_stops = 0
        self._whole_replies += 1
        if self._whole_replies >= _MOST_STOPS:
            self.raised = False

    def observe(
        self,
        near: Samples,
        far: Samples,
        cleaned_db: float,
        floor_db: float,
        handed_db: float = SILENCE_DB,
        *,
        hears: bool | None = None,
    ) -> bool:
        """Process 10 ms; return True for a voice that is no echo, if the guard is active.

        cleaned_db: level in dBFS of the canceller's output. floor_db: level of the noise in it.
        handed_db: the loudest sound handed to the device whose echo may still come.
        hears: whether the linear filter hears a voice; None if it cannot tell.
        """
        near_db = dbfs(near)
        coupling = self._coupling
        coupling.observe(near_db, dbfs(far), handed_db)
        audible = coupling.loudest_db > _LOUD_DB
        if self._starts_next and not audible:
            self._starts_next = False
            self.disturb()
        if (self.unproved or self._is_new) and audible:
            self._prove(cleaned_db, floor_db)
        was_active, self.active = self.active, self.unproved and audible
        if self.active and self.gated:
            self.gated = self.talking = False
            self._gate_votes.clear()
        if not self.active:
            if was_active:
                self.talking = False
                self._votes.clear()
            return False
        margin = _MARGIN_DB + (_RAISED_DB if self.raised else 0.0)
        over = near_db > max(coupling.expected_db + margin, MIN_VOICE_DB)
        over = over and cleaned_db > near_db - _SUPPRESSED_DB
        voiced = over and bool(self._is_voiced(RATE, near.tobytes(), len(near)))
        if hears is not None:
            voiced = hears
        self._votes.add(voiced)
        if self.talking:
            self.talking = not self._votes.silent_for(_QUIET_FRAMES)
        else:
            self.talking = self._votes.at_least(GUARDED.confirm)
        return voiced

    @property
    def rests(self) -> bool:
        """True if nothing is distrusted, held back or judged."""
        judges = self.unproved or self.active or self.gated or self._starts_next
        return not judges and not self.held

    @property
    def suspects(self) -> bool:
        """True while the gate is about to open, or just did."""
        is_new = self._open_frames <= _DOUBT_FRAMES
        return self.gated and is_new and self._gate_votes.at_least(_SUSPECT)

    def gate(self, voiced: bool, *, has_echo: bool) -> None:
        """Process the decision of the voice detectors for 10 ms that are not guarded."""
        was_gated = self.gated
        self.gated = has_echo and self._coupling.loudest_db > _LOUD_DB
        if not self.gated:
            if was_gated:
                self.talking = False
            self._gate_votes.clear()
            return
        self._gate_votes.add(voiced)
        if self.talking:
            self.talking = not self._gate_votes.silent_for(_QUIET_FRAMES)
        else:
            self.talking = self._gate_votes.at_least(_OPENS)
        self._open_frames = self._open_frames + 1 if self.talking else 0

    def _prove(self, cleaned_db: float, floor_db: float) -> None:
        """Count playback with hardly any echo left."""
        limit = max(
            self._coupling.expected_db - _MIN_ERLE_DB, floor_db + _ABOVE_FLOOR_DB, _INAUDIBLE_DB
        )
        proves = self._coupling.known and cleaned_db <= limit
        self._proof = self._proof + 1 if proves else 0
        if self._proof >= _PROOF_FRAMES:
            self.unproved = self._is_new = False

    def pass_on(self, frame: Samples, without_voice: Samples) -> Iterator[Samples]:
        """Yield what is delivered after `frame` came: sound, or silence in place of an echo.

        without_voice: the same 10 ms if the gate ends without a voice: the output of the canceller.
        The residue of the linear filter has the echo of a last word that arrives late.
        """
        if (self.active or self.gated) and not self.talking:
            self.held.append((frame, without_voice))
            if len(self.held) > _HELD_FRAMES:
                self.held.popleft()
                yield np.zeros(FRAME, np.int16)
            return
        kept = self._votes.oldest + _ONSET_FRAMES if self.active else _HELD_FRAMES
        while self.held:
            is_echo = len(self.held) > kept or (self.unproved and not self.talking)
            voice, rest = self.held.popleft()
            yield np.zeros(FRAME, np.int16) if is_echo else voice if self.talking else rest
        yield frame

"""The echo is found again at once after its delay jumped, and the far end is moved to fit.

Sound that was lost on either side moves the echo by milliseconds, and not every device tells. The
room is the same, so its impulse response is too: what the linear filter had learned predicts the
echo at any delay, and the microphone shows which one it is.

    distrusted ─► the known echo, in its place, four times ─► the canceller must prove less
               └► the known echo at another delay, twice ───► far end moved, filter restored
"""

from __future__ import annotations

from typing import Final

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_detector import IN_PLACE, EchoDetector, EchoState
from voicechat.audio.capture.echo_guard import EchoGuard
from voicechat.audio.capture.far_end import FarEnd
from voicechat.audio.capture.linear_aec import FilterState, OnsetDetector

_REMEMBERED: Final = 50
"""Frames of 10 ms between two copies of the filter."""
_SEARCHED: Final = 3
"""Frames between two searches."""
_WINDOW: Final = 10
"""Frames that a search looks at, with the reverberation before them."""
_ALIGNED: Final = 1
"""Samples off at which an echo is in its place: the filter adapts."""
_SAME_SHIFT: Final = 1
"""Samples between two searches that found the same jump."""
_CONFIRMED: Final = 4
"""Times that an echo is found in its place until it counts."""


class KnownEcho:
    """The echo path of one card, as it was when the canceller worked."""

    def __init__(self) -> None:
        self._state: FilterState | None = None
        self._frames = 0
        self._shift = self._shifts = 0
        self._found_in_place = 0

    def has_moved(self, linear: OnsetDetector, detector: EchoDetector, far_end: FarEnd) -> bool:
        """Return True if the newest sound of the microphone is an echo, but at another delay."""
        shift = detector.shift_of(linear.echo_path, far_end.waiting)
        return shift is not None and abs(shift) > IN_PLACE

    def observe(
        self, linear: OnsetDetector, detector: EchoDetector, far_end: FarEnd, guard: EchoGuard
    ) -> None:
        """Process 10 ms that all of them have processed."""
        self._frames += 1
        if far_end.shifts != self._shifts:
            # Until then, the microphone has the echo of sound from before.
            self._shifts = far_end.shifts
            self._frames = -(detector.delay // FRAME) - _WINDOW
            self._found_in_place = self._shift = 0
        if not guard.unproved:
            self._found_in_place = self._shift = 0
            if self._frames >= _REMEMBERED and linear.works:
                self._frames = 0
                self._state = linear.state()
        elif self._state and self._frames >= _SEARCHED and detector.verdict is EchoState.ECHO:
            self._frames = 0
            self._search(self._state, linear, detector, far_end, guard)

    def _search(
        self,
        state: FilterState,
        linear: OnsetDetector,
        detector: EchoDetector,
        far_end: FarEnd,
        guard: EchoGuard,
    ) -> None:
        shift = detector.shift_of(state.impulse_response, far_end.waiting)
        if shift is None:
            return
        guard.hears_echo()
        if abs(shift) <= _ALIGNED:
            self._shift = 0
            self._found_in_place += 1
            if self._found_in_place == 1:
                linear.restore(state)
            elif self._found_in_place == _CONFIRMED:
                guard.trust_sooner()
            return
        self._found_in_place = 0
        before, self._shift = self._shift, shift
        if abs(shift - before) > _SAME_SHIFT:
            return
        if far_end.move(shift):
            detector.replace_far(far_end.played)
            linear.replace_far(far_end.played)
            linear.restore(state)
            self._shift = 0

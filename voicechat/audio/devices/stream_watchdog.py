"""Stalled streams: which side has stopped, and which one counts as missing.

Each side is judged by its own callbacks (`CallbackClock`), so a slow microphone does not concern
the speaker.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from voicechat.audio.devices.card import SoundCard
from voicechat.audio.devices.device_list import Kind

_STALLED_S: Final = 1.5
"""A side that still does not run this long after it stopped counts as missing."""
_TOGETHER: Final = 0.5
"""Silence, as a fraction of a stream's patience, at which it stops together with another one."""

NO_SIDES: Final[frozenset[Kind]] = frozenset()


class WatchReport(NamedTuple):
    """Changes since the last look."""

    stopped: frozenset[Kind]
    """Running sides that stopped, while the others ran."""
    silent: frozenset[Kind]
    """Sides to reopen."""
    returned: frozenset[Kind]
    """Missing sides that run again."""
    lost: frozenset[Kind]
    """Sides that count as missing from now on."""


class StreamWatchdog:
    """Watches the streams of a card."""

    def __init__(self) -> None:
        self.missing = NO_SIDES
        """Open sides that count as missing, because their device does not respond."""
        self._stopped_at: dict[Kind, float] = {}

    @property
    def healthy(self) -> bool:
        """True if no open side is in trouble."""
        return not self._stopped_at

    def forget(self, kinds: frozenset[Kind]) -> None:
        """Forget sides that are not open, or are closed on request."""
        self.missing -= kinds
        for kind in kinds:
            self._stopped_at.pop(kind, None)

    def observe(self, card: SoundCard, now: float) -> WatchReport:
        """Return what changed; `now`: monotonic s."""
        streams = card.streams
        silence = {kind: stream.silence(now) for kind, stream in streams.items()}
        for kind, stream in streams.items():
            if stream.runs and silence[kind] < 1:
                self._stopped_at.pop(kind, None)
        stopped = silent = NO_SIDES
        if any(share >= 1 for share in silence.values()):
            silent = frozenset(kind for kind, share in silence.items() if share >= _TOGETHER)
            stopped = self._note_stopped(card, silent, now)
        before = self.missing
        stalled = frozenset(self._stopped_at)
        if any(now - at >= _STALLED_S for at in self._stopped_at.values()):
            self.missing = stalled
        else:
            self.missing &= stalled
        return WatchReport(stopped, silent, before - self.missing, self.missing - before)

    def _note_stopped(
        self, card: SoundCard, silent: frozenset[Kind], now: float
    ) -> frozenset[Kind]:
        """Note sides that are silent; return those that had run, if nothing was in trouble."""
        was_healthy = self.healthy
        for kind in silent - self._stopped_at.keys():
            stream = card.streams[kind]
            # A side that has never run was waited for already.
            self._stopped_at[kind] = now if stream.runs else stream.last_callback_at
        ran = frozenset(kind for kind in silent if card.streams[kind].runs)
        return ran if was_healthy else NO_SIDES

"""Which frames belong to which item: absolute queue positions to heard milliseconds and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.audio.messages import AudioEvent
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted


@dataclass(slots=True)
class _Track:
    spans: list[tuple[int, int]] = field(default_factory=list)
    end: int | None = None
    """The position where the item ends, once known."""
    started: bool = False
    best_ms: float = 0.0
    told_ms: float = -1.0


class Ledger:
    """Follows every item from its first queued frame to its last heard one. One thread."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._tracks: dict[str, _Track] = {}

    def __len__(self) -> int:
        """Items that are playing or queued."""
        return len(self._tracks)

    @property
    def open_ended(self) -> bool:
        """Whether the newest item may still get sound."""
        for track in reversed(self._tracks.values()):
            return track.end is None
        return False

    def announce(self, item_id: str) -> None:
        """The item is queued; its frames are told later."""
        self._tracks.setdefault(item_id, _Track())

    def wrote(self, item_id: str, begin: int, count: int) -> None:
        """`count` frames of the item stand at position `begin`."""
        track = self._tracks.setdefault(item_id, _Track())
        if track.spans and track.spans[-1][1] == begin:
            track.spans[-1] = (track.spans[-1][0], begin + count)
        else:
            track.spans.append((begin, begin + count))

    def ended(self, item_id: str, position: int) -> None:
        """The item has no frame at or after `position`."""
        self._tracks.setdefault(item_id, _Track()).end = position

    def heard(self, position: int, at: float, progress: bool) -> Iterator[AudioEvent]:
        """What happened until `position` was heard: starts, ends and, if asked for, progress."""
        for item_id, track in list(self._tracks.items()):
            if track.spans and not track.started and position > track.spans[0][0]:
                track.started = True
                yield PlaybackStarted(item_id, at)
            self._advance(track, position)
            over = track.end is not None and position >= track.end
            if track.started and (progress or over) and track.best_ms != track.told_ms:
                track.told_ms = track.best_ms
                yield Heard(item_id, track.best_ms)
            if over:
                del self._tracks[item_id]
                yield PlaybackFinished(item_id)

    def stop(self, position: int) -> dict[str, float]:
        """Heard ms of every item that was playing or queued; all are forgotten."""
        for track in self._tracks.values():
            self._advance(track, position)
        heard = {item_id: track.best_ms for item_id, track in self._tracks.items()}
        self._tracks.clear()
        return heard

    def drop_ended(self) -> list[str]:
        """Forget every item whose end is known, heard or not; their names."""
        ended = [item_id for item_id, track in self._tracks.items() if track.end is not None]
        for item_id in ended:
            del self._tracks[item_id]
        return ended

    def move(self, origin: int, rate: int) -> None:
        """The queue begins anew at another rate: what stood at `origin` now stands at 0."""
        scale = rate / self._rate
        for track in self._tracks.values():
            track.spans = [
                (round((begin - origin) * scale), round((end - origin) * scale))
                for begin, end in track.spans
            ]
            if track.end is not None:
                track.end = round((track.end - origin) * scale)
        self._rate = rate

    def _advance(self, track: _Track, position: int) -> None:
        frames = sum(max(0, min(end, position) - begin) for begin, end in track.spans)
        track.best_ms = max(track.best_ms, frames * 1000 / self._rate)

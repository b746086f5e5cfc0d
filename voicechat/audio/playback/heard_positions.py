"""Playout positions: maps absolute queue positions to milliseconds heard of each item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.audio.messages import AudioEvent
from voicechat.core.inputs import Heard, PlaybackFinished, PlaybackStarted


@dataclass(slots=True)
class _Track:
    spans: list[tuple[int, int]] = field(default_factory=list)
    end: int | None = None
    """Queue position where the item ends; None while it may get more sound."""
    started: bool = False
    best_ms: float = 0.0
    reported_ms: float = -1.0


class HeardPositions:
    """Tracks each item from its first queued frame to its last heard one. Single thread."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._tracks: dict[str, _Track] = {}

    def __len__(self) -> int:
        """Return the number of items that are playing or queued."""
        return len(self._tracks)

    @property
    def open_ended(self) -> bool:
        """True while the newest item may get more sound."""
        for track in reversed(self._tracks.values()):
            return track.end is None
        return False

    def register(self, item_id: str) -> None:
        """Register an item whose frames follow later."""
        self._tracks.setdefault(item_id, _Track())

    def queued(self, item_id: str, begin: int, count: int) -> None:
        """Record that `count` frames of the item were queued at position `begin`."""
        track = self._tracks.setdefault(item_id, _Track())
        if track.spans and track.spans[-1][1] == begin:
            track.spans[-1] = (track.spans[-1][0], begin + count)
        else:
            track.spans.append((begin, begin + count))

    def ended(self, item_id: str, position: int) -> None:
        """Record that the item has no frame at or after `position`."""
        self._tracks.setdefault(item_id, _Track()).end = position

    def heard(self, position: int, at: float, progress: bool) -> Iterator[AudioEvent]:
        """Yield the events up to `position`: starts, ends and, with `progress`, positions."""
        for item_id, track in list(self._tracks.items()):
            if track.spans and not track.started and position > track.spans[0][0]:
                track.started = True
                yield PlaybackStarted(item_id, at)
            self._advance(track, position)
            over = track.end is not None and position >= track.end
            if track.started and (progress or over) and track.best_ms != track.reported_ms:
                track.reported_ms = track.best_ms
                yield Heard(item_id, track.best_ms)
            if over:
                del self._tracks[item_id]
                yield PlaybackFinished(item_id)

    def stop(self, position: int) -> dict[str, float]:
        """Return the heard ms of every playing or queued item, and forget all items."""
        for track in self._tracks.values():
            self._advance(track, position)
        heard = {item_id: track.best_ms for item_id, track in self._tracks.items()}
        self._tracks.clear()
        return heard

    def drop_ended(self) -> list[str]:
        """Forget every item with a known end, heard or not; return their ids."""
        ended = [item_id for item_id, track in self._tracks.items() if track.end is not None]
        for item_id in ended:
            del self._tracks[item_id]
        return ended

    def rebase(self, origin: int, rate: int) -> None:
        """Continue on a new queue with another rate: `origin` becomes its position 0."""
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

"""Transcript order: passages in the order of speech.

A provider may finish a later passage before an earlier one; the `previous_item_id` of a commit
gives the order. A passage is released when it is final and every earlier one is final too, or has
delayed it for too long.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicechat.core import events
from voicechat.core.items import Usage
from voicechat.core.turns import RecentIds

MAX_DELAY_S = 10.0
"""Seconds for which a passage may delay later ones."""


@dataclass(slots=True)
class Passage:
    """One passage: the user's words between two pauses."""

    item_id: str
    previous_item_id: str | None = None
    text: str = ""
    final: bool = False
    error: str | None = None
    """Reason why it could not be transcribed; a part of its text may exist."""
    segments: list[events.TranscriptSegment] = field(default_factory=list)
    """Speaker segments, if the transcriber distinguishes speakers."""
    tokens: tuple[events.Token, ...] = ()
    languages: tuple[str, ...] = ()
    usage: Usage | None = None

    @property
    def spoken(self) -> str:
        """The text, with the names of the speakers if they are known."""
        if not self.segments:
            return self.text
        parts: list[str] = []
        speaker = ""
        for segment in sorted(self.segments, key=lambda each: each.start_s):
            name = f"{segment.speaker}: " if segment.speaker not in ("", speaker) else ""
            speaker = segment.speaker
            parts.append(f"{name}{segment.text.strip()}")
        return " ".join(parts)


class TranscriptOrder:
    """Takes the events of a provider and returns finished passages in order."""

    def __init__(self) -> None:
        self._waiting: list[Passage] = []
        self._released = RecentIds()
        self._blocked_since: float | None = None

    @property
    def partial(self) -> str:
        """Text of the passages that may still change."""
        texts = (each.text.strip() for each in self._waiting if not each.final)
        return " ".join(text for text in texts if text)

    @property
    def deadline(self) -> float | None:
        """Time (s) of the next `tick`; None if no passage waits."""
        return None if self._blocked_since is None else self._blocked_since + MAX_DELAY_S

    def handle(self, event: events.Event, now: float) -> list[Passage]:
        """Apply an event at the time `now` (s); return the finished passages in order."""
        match event:
            case events.InputCommitted(item_id, previous):
                self._place(item_id, previous)
            case events.UserTranscript():
                self._add_transcript(event)
            case events.TranscriptSegment():
                passage = self._passage(event.item_id)
                if passage is not None:
                    passage.segments.append(event)
        return self._due(now)

    def tick(self, now: float) -> list[Passage]:
        """Return the final passages if an earlier one has delayed them for too long."""
        if self.deadline is None or now < self.deadline:
            return []
        return self._release([each for each in self._waiting if each.final], now)

    def lost(self) -> list[Passage]:
        """Return the final passages of a lost connection; the rest will be transcribed again."""
        final = [each for each in self._waiting if each.final]
        self._waiting.clear()
        return self._release(final, 0.0)

    # ----------------------------------------------------------------- inside

    def _passage(self, item_id: str) -> Passage | None:
        """Return the passage with this id, a new one if needed; None if it was already released."""
        if item_id in self._released:
            return None
        for each in self._waiting:
            if each.item_id == item_id:
                return each
        self._waiting.append(Passage(item_id))
        return self._waiting[-1]

    def _place(self, item_id: str, previous: str | None) -> None:
        passage = self._passage(item_id)
        if passage is None:
            return
        passage.previous_item_id = previous
        self._waiting = self._in_order()

    def _in_order(self) -> list[Passage]:
        """Return the waiting passages, each after the one that it names as its previous."""
        ids = {each.item_id for each in self._waiting}
        behind: dict[str, list[Passage]] = {}
        first: list[Passage] = []
        for each in self._waiting:
            previous = each.previous_item_id
            if previous is not None and previous in ids:
                behind.setdefault(previous, []).append(each)
            else:
                first.append(each)
        first.sort(key=lambda each: (each.previous_item_id or "") not in self._released)
        ordered: list[Passage] = []
        ahead = first[::-1]
        while ahead:
            ordered.append(ahead.pop())
            ahead += behind.pop(ordered[-1].item_id, [])[::-1]
        # Passages that name each other in a cycle keep their order of arrival.
        return ordered + [each for circle in behind.values() for each in circle]

    def _add_transcript(self, event: events.UserTranscript) -> None:
        passage = self._passage(event.item_id)
        if passage is None or passage.final:
            return
        whole = event.replace or (event.final and event.error is None)
        passage.text = event.text if whole else passage.text + event.text
        passage.tokens = event.tokens if whole and event.tokens else passage.tokens + event.tokens
        if event.final:
            passage.final, passage.error = True, event.error
            passage.languages, passage.usage = event.languages, event.usage

    def _due(self, now: float) -> list[Passage]:
        due: list[Passage] = []
        for each in self._waiting:
            if not each.final:
                break
            due.append(each)
        return self._release(due, now)

    def _release(self, due: list[Passage], now: float) -> list[Passage]:
        for each in due:
            self._released.add(each.item_id)
        self._waiting = [each for each in self._waiting if each.item_id not in self._released]
        if not any(each.final for each in self._waiting):
            self._blocked_since = None
        elif self._blocked_since is None or due:
            self._blocked_since = now
        return due

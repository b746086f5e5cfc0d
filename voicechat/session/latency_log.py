"""Latency of a session: how long each turn took and where the time went.

The log is a subscriber of the event stream. A turn is measured from the end of the user's speech
(or Enter) to the first sound of the answer (or its first text):

    endpointing   until the provider noticed the end of the speech
    network       one round trip, as the pings of the connection measure it
    model         until the first sound or text arrived, tools included
    buffer        until the first sound was played: jitter buffer and device

The provider's side of the connection cannot be seen. With a provider that detects the end itself,
the round trip is a part of the measured endpointing; otherwise it is a part of the wait for the
model. It is subtracted there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Final, Protocol

from voicechat.audio import messages as sound
from voicechat.core import effects, events, inputs
from voicechat.core.turn_latency import TurnLatency
from voicechat.session.event_stream import EventStream, Overflow, Subscription
from voicechat.session.updates import Link, LinkChanged

MAX_TURNS: Final = 1_000
"""Turns that are kept; older ones are dropped."""

_RECENT_ITEMS: Final = 16


class MeasuresRoundTrip(Protocol):
    """A connection that measures its round trip."""

    round_trip_s: float
    """Latest round trip in seconds; 0 before the first one."""


class LatencyLog:
    """Collects the latencies of a session. Times are seconds on the clock of the stream."""

    def __init__(
        self,
        model: Callable[[], str],
        connection: Callable[[], MeasuresRoundTrip | None],
        unsaved: deque[tuple[float, TurnLatency]] | None = None,
    ) -> None:
        """Start a log.

        model         returns the model of the turn
        connection    returns the open connection
        unsaved       receives each turn with its Unix time (s)
        """
        self.turns: deque[TurnLatency] = deque(maxlen=MAX_TURNS)
        self.silences: deque[float] = deque(maxlen=MAX_TURNS)
        """Milliseconds from the first sign of a barge-in to silence."""
        self.held: deque[float] = deque(maxlen=MAX_TURNS)
        """Milliseconds that the first words of a reply waited for guardrails."""
        self.gaps = 0
        """Underruns of the speaker."""
        self.lost_ms = 0.0
        """Milliseconds of silence in them."""
        self.reconnects = 0
        self._model = model
        self._connection = connection
        self._unsaved = unsaved
        self._stream: EventStream | None = None
        self._arrivals: Subscription | None = None
        """Sound and text, while a turn waits for its answer: they come many times a second."""
        self._noticed_at: float | None = None
        """The end of the turn was noticed: by the provider, a key or Enter."""
        self._asks = False
        """The client asked for the answer, so the round trip is a part of that wait."""
        self._first: dict[str, float] = {}
        """Arrival of the first sound or text of recent items."""
        self._begun = ""
        """Item that began to play."""
        self._barge_in_at: float | None = None
        self._held_at: float | None = None
        self._playing: set[str] = set()

    def follow(self, stream: EventStream) -> None:
        """Receive the events of a session."""
        self._stream = stream
        self._subscribe(stream, _STEPS.keys() - _ARRIVALS)

    def _subscribe(self, stream: EventStream, wants: Collection[type]) -> Subscription:
        found = stream.subscribe("latency", limit=1_000, overflow=Overflow.DROP_OLDEST, wants=wants)

        def take() -> None:
            for event, at in found.pop_timed():
                _STEPS[type(event)](self, event, at)

        found.wake = take
        return found

    def take(self, event: object, at: float) -> None:
        """Take an event of the time `at` (s); unknown ones are ignored."""
        step = _STEPS.get(type(event))
        if step is not None:
            step(self, event, at)

    # ----------------------------------------------------------------- turns

    def _end_of_turn(self, at: float, *, asks: bool) -> None:
        if asks or self._noticed_at is None:
            self._noticed_at, self._asks = at, asks

    def _typed(self, at: float) -> None:
        self._voice(at)
        self._end_of_turn(at, asks=True)

    def _speech(self, at: float) -> None:
        self._voice(at)
        self._noticed_at = None

    def _arrived(self, item_id: str, at: float) -> None:
        if item_id not in self._first:
            if len(self._first) >= _RECENT_ITEMS:
                del self._first[next(iter(self._first))]
            self._first[item_id] = at

    def _floor(self, event: effects.FloorChanged) -> None:
        if event.floor not in {effects.Floor.HEARING, effects.Floor.THINKING}:
            self._close_arrivals()
        elif self._stream is not None and self._arrivals is None:
            self._arrivals = self._subscribe(self._stream, _ARRIVALS)

    def _close_arrivals(self) -> None:
        if self._arrivals is not None:
            self._arrivals.close()
            self._arrivals = None

    def _text(self, event: events.TextDelta, at: float) -> None:
        self._arrived(event.item_id, at)
        if not event.spoken:
            self._begun = event.item_id

    def _measured(self, event: effects.TurnMeasured, at: float) -> None:
        began = at - event.latency_ms / 1000
        first = min(max(self._first.get(self._begun, at), began), at)
        noticed = began if self._noticed_at is None else min(max(self._noticed_at, began), first)
        endpointing, wait = (noticed - began) * 1000, (first - noticed) * 1000
        asks = self._asks or self._noticed_at is None
        connection = self._connection()
        round_trip_s = 0.0 if connection is None else connection.round_trip_s
        trip = min(round_trip_s * 1000, wait if asks else endpointing)
        if asks:
            wait -= trip
        else:
            endpointing -= trip
        buffered, spoken = (at - first) * 1000, self._begun in self._playing
        turn = TurnLatency(self._model(), endpointing, trip, wait, buffered, spoken)
        self.turns.append(turn)
        if self._unsaved is not None:
            self._unsaved.append((time.time(), turn))
        self._noticed_at = None
        self._close_arrivals()

    # ----------------------------------------------------------------- barge-in

    def _began(self, event: inputs.PlaybackStarted, at: float) -> None:
        self._begun = event.item_id
        self._playing.add(event.item_id)

    def _finished(self, event: inputs.PlaybackFinished, at: float) -> None:
        self._playing.discard(event.item_id)
        if not self._playing:
            self._no_barge_in()

    def _no_barge_in(self) -> None:
        self._barge_in_at = self._held_at = None

    def _voice(self, at: float, *, held: bool = False) -> None:
        if not self._playing:
            return
        if self._barge_in_at is None:
            self._barge_in_at = at
        if held and self._held_at is None:
            self._held_at = at  # playback is silent from here on

    def _stopped(self, at: float) -> None:
        if self._playing and self._barge_in_at is not None:
            silent = at if self._held_at is None else self._held_at
            self.silences.append(max(0.0, silent - self._barge_in_at) * 1000)
        self._playing.clear()
        self._no_barge_in()

    # ----------------------------------------------------------------- devices and connection

    def _underrun(self, event: sound.Underrun) -> None:
        self.gaps, self.lost_ms = event.gaps, event.lost_ms

    def _linked(self, event: LinkChanged) -> None:
        if event.link is Link.RECONNECTING:
            self.reconnects += 1


_L = LatencyLog
_STEPS: dict[type, Callable[..., None]] = {
    inputs.Typed: lambda log, e, at: log._typed(at),
    inputs.Talk: lambda log, e, at: log._voice(at) if e.on else log._end_of_turn(at, asks=True),
    events.SpeechStopped: lambda log, e, at: log._end_of_turn(at, asks=False),
    events.InputCommitted: lambda log, e, at: log._end_of_turn(at, asks=False),
    effects.FloorChanged: lambda log, e, at: log._floor(e),
    events.AudioDelta: lambda log, e, at: log._arrived(e.item_id, at),
    events.TextDelta: _L._text,
    effects.TurnMeasured: _L._measured,
    effects.ReplyHeld: lambda log, e, at: log.held.append(e.ms),
    inputs.PlaybackStarted: _L._began,
    inputs.PlaybackFinished: _L._finished,
    inputs.LocalSpeech: lambda log, e, at: log._voice(at, held=e.confirmed),
    events.SpeechStarted: lambda log, e, at: log._speech(at),
    inputs.Interrupt: lambda log, e, at: log._voice(at),
    effects.ResumePlayback: lambda log, e, at: log._no_barge_in(),
    inputs.PlaybackStopped: lambda log, e, at: log._stopped(at),
    sound.Underrun: lambda log, e, at: log._underrun(e),
    LinkChanged: lambda log, e, at: log._linked(e),
}
"""Event -> step of the log."""

_ARRIVALS = frozenset({events.AudioDelta, events.TextDelta})

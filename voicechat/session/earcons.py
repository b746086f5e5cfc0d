"""Earcons: short sounds that signal a change of state to a user without a screen."""

from __future__ import annotations

from collections.abc import Callable

from voicechat.core import effects
from voicechat.session.event_stream import EventStream, Overflow
from voicechat.session.updates import Link, LinkChanged

_FLOOR_CUES = {
    effects.Floor.LISTENING: "listening",
    effects.Floor.THINKING: "working",
    effects.Floor.WORKING: "working",
}


class Earcons:
    """Selects the earcon of each event."""

    def __init__(self) -> None:
        self._floor = effects.Floor.IDLE
        self._link = Link.CONNECTING

    def cue(self, event: object) -> str | None:
        """Return the name of the earcon for an effect or a session update; None for silence."""
        match event:
            case effects.StopPlayback():
                return "stopped"
            case effects.AskApproval():
                return "asking"
            case effects.Notice(_, effects.Level.ERROR):
                return "error"
            case LinkChanged(link):
                before, self._link = self._link, link
                lost = before is Link.ONLINE and link is Link.RECONNECTING
                return "error" if lost else None
            case effects.FloorChanged(floor):
                previous, self._floor = self._floor, floor
                return self._floor_cue(previous, floor)
        return None

    @staticmethod
    def _floor_cue(before: effects.Floor, floor: effects.Floor) -> str | None:
        if (before, floor) == (effects.Floor.IDLE, effects.Floor.HEARING):
            # Without turn detection, only the talk key starts a turn.
            return "listening"
        is_same = _FLOOR_CUES.get(before) == _FLOOR_CUES.get(floor)
        return None if is_same else _FLOOR_CUES.get(floor)


def play_earcons(stream: EventStream, play: Callable[[str], None]) -> None:
    """Subscribe to the stream and play the earcon of each event at once."""
    earcons = Earcons()
    kinds = (
        effects.StopPlayback,
        effects.AskApproval,
        effects.Notice,
        effects.FloorChanged,
        LinkChanged,
    )
    subscription = stream.subscribe("earcons", limit=64, overflow=Overflow.DROP_OLDEST, wants=kinds)

    def wake() -> None:
        for event in subscription.pop_all():
            if cue := earcons.cue(event):
                play(cue)

    subscription.wake = wake

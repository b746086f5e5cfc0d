"""Short sounds that tell the state without a screen, at the moment it becomes true."""

from __future__ import annotations

from voicechat.core import events as ev

_FLOORS = {
    ev.Floor.LISTENING: "listening",
    ev.Floor.THINKING: "working",
    ev.Floor.WORKING: "working",
}


class Earcons:
    """Chooses the cue for what a conversation does; None where it is to be silent."""

    def __init__(self) -> None:
        self._floor = ev.Floor.IDLE

    def cue(self, effect: ev.Effect) -> str | None:
        """The name of the sound for this effect."""
        match effect:
            case ev.StopPlayback():
                return "stopped"
            case ev.Ask():
                return "asking"
            case ev.Notice(_, ev.Level.ERROR):
                return "error"
            case ev.FloorChanged(floor):
                before, self._floor = self._floor, floor
                return self._of(before, floor)
        return None

    @staticmethod
    def _of(before: ev.Floor, floor: ev.Floor) -> str | None:
        if (before, floor) == (ev.Floor.IDLE, ev.Floor.HEARING):
            # Nobody hears a person whose microphone is closed: the talk key has just opened it.
            return "listening"
        both_work = _FLOORS.get(before) == _FLOORS.get(floor)
        return None if both_work else _FLOORS.get(floor)

"""Updates: changes that a session publishes for screens; other state is read from the session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, get_args

from voicechat.core import effects


class Link(StrEnum):
    """State of the connection to the provider."""

    CONNECTING = "connecting"
    ONLINE = "online"
    RECONNECTING = "reconnecting"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The connection's state changed; `text` is one sentence for the status line."""

    link: Link
    text: str = ""


@dataclass(frozen=True, slots=True)
class LevelsChanged:
    """Levels of microphone and speaker in dBFS, with the highest recent peak; -100 is silence."""

    mic: float
    speaker: float
    mic_peak: float = -100.0
    speaker_peak: float = -100.0
    hears: bool = True
    """False while a microphone that is in use delivers nothing yet."""


@dataclass(frozen=True, slots=True)
class SoundChanged:
    """The devices in use; None for a missing one, explained by `problem` and `hint`."""

    microphone: str | None
    speaker: str | None
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """Muted, hands-free or push-to-talk changed."""

    muted: bool
    hands_free: bool
    talking: bool


@dataclass(frozen=True, slots=True)
class ModelChanged:
    """The model (PROVIDER/MODEL) or its voice changed; an empty voice is the default one."""

    model: str
    voice: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """Another conversation started; the transcript was replaced."""

    is_new: bool = True
    """True if the transcript is empty; False if it has the entries of an earlier conversation."""


@dataclass(frozen=True, slots=True)
class Report:
    """A text of several lines under a title that is not part of the conversation."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class WorkEnded:
    """Work in the background ended, so that `SessionView.pending` may be False now."""


@dataclass(frozen=True, slots=True)
class HelpRequested:
    """A command asks for the help."""


@dataclass(frozen=True, slots=True)
class HistoryRequested:
    """A command asks the screen for the history, searched for these words if there are any."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class ConsoleRequested:
    """A command asks for the event console: "off", a filter, or empty to open or close it."""

    text: str


@dataclass(frozen=True, slots=True)
class PickerRequested:
    """A command asks for a list to choose from, by its name, with the item of a key selected."""

    name: str
    selected: str = ""


@dataclass(frozen=True, slots=True)
class ThemeRequested:
    """A command asks for another theme of the screen, by its name in `SessionView.themes`."""

    name: str


@dataclass(frozen=True, slots=True)
class CopyRequested:
    """A command asks the screen to copy this text to the clipboard."""

    text: str


ScreenRequest = (
    HelpRequested
    | HistoryRequested
    | ConsoleRequested
    | PickerRequested
    | ThemeRequested
    | CopyRequested
)
"""What a command asks of the screen."""

Update = (
    effects.EntryChanged
    | effects.EntryRemoved
    | effects.FloorChanged
    | effects.AskApproval
    | effects.TurnMeasured
    | effects.UsageChanged
    | effects.LimitsChanged
    | effects.Notice
    | LinkChanged
    | LevelsChanged
    | SoundChanged
    | ModeChanged
    | ModelChanged
    | Cleared
    | Report
    | WorkEnded
    | ScreenRequest
)
"""Everything a screen shows; raw provider events, inputs and audio are not part of it."""

UPDATES: Final[frozenset[type]] = frozenset(get_args(Update))
"""Classes of `Update`, for `EventStream.subscribe(wants=...)`."""

"""A list to choose from: its items, and what choosing one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

from voicechat.core.text import clean

if TYPE_CHECKING:
    from voicechat.session.session import Session

MAX_ITEMS = 2_000
"""Most items of a list."""

MAX_LABEL = 200
"""Most characters of a label or a note."""

MAX_DETAIL = 2_000
"""Most characters of a detail."""

MAX_PRINTED_NOTE = 120
"""Most characters of a note in a printed list."""

Details = Sequence[tuple[str, str]]
"""Names and texts about an item."""


def one_line(text: str, most: int = MAX_LABEL) -> str:
    """Return outside text as one clean line of at most `most` characters."""
    line = " ".join(clean(text[: most * 4]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def no_details() -> Details:
    """Return nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class PickerItem:
    """One item of a list. Its texts are clean and bounded, wherever they come from."""

    key: str
    """Identifies the item in its list."""
    label: str
    note: str = ""
    """State of the item in words."""
    group: str = ""
    """Heading of the items around it."""
    is_current: bool = False
    """It is in use."""
    enter: str = ""
    """What Enter does, as a verb: `switches`; empty for nothing."""
    space: str = ""
    """What Space does, as a verb: `plays`; empty for nothing."""
    meter: Literal["", "input", "output"] = ""
    """Side whose live level the item shows."""
    details: Callable[[], Details] = field(default=no_details, compare=False, repr=False)
    """Returns more about the item; called when it is selected."""

    def __post_init__(self) -> None:
        for name in ("label", "note", "group"):
            object.__setattr__(self, name, one_line(getattr(self, name)))

    def matches(self, words: Sequence[str]) -> bool:
        """Return True if the item has all these words, in lower case."""
        text = f"{self.group} {self.label} {self.note}".lower()
        return all(word in text for word in words)


class PickResult(NamedTuple):
    """What choosing an item did."""

    text: str = ""
    """A sentence for the user."""
    closes: bool = False
    """The list is no longer needed."""
    opens: str = ""
    """Name of another picker to open."""
    edits: str | None = None
    """The text to edit; the edited text goes to `Picker.enter_text`."""


Choose = Callable[["Session", PickerItem], PickResult]
"""Acts on an item. Raises `VoicechatError`."""


def _nothing(session: Session, item: PickerItem) -> PickResult:
    return PickResult()


def _no_text(session: Session, item: PickerItem, text: str) -> PickResult:
    return PickResult()


def _always(session: Session) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Picker:
    """A list to choose from. A new one is a row of `picker_table.PICKERS`."""

    name: str
    """Name of its command, without the slash."""
    title: str
    items: Callable[[Session], Sequence[PickerItem]]
    """Collects the items. May block on a disk or a device, so call it in a thread."""
    choose: Choose = _nothing
    """Acts on the item for which Enter was pressed."""
    more: Choose = _nothing
    """Acts on the item for which Space was pressed."""
    enter_text: Callable[[Session, PickerItem, str], PickResult] = _no_text
    """Takes an edited text."""
    previews_theme: bool = False
    """The screen shows the selected item on trial."""
    available: Callable[[Session], bool] = _always
    empty: str = "There is nothing to choose."
    """Shown for a list without items."""

    def printed(self, session: Session) -> str:
        """Return the list as text; `*` marks what is in use. May block. Raises `VoicechatError`."""
        lines = list(_lines(self.items(session)[:MAX_ITEMS]))
        return "\n".join(lines) or self.empty


def _lines(items: Sequence[PickerItem]) -> Iterator[str]:
    for group, members in groupby(items, key=lambda item: item.group):
        if group:
            yield f"{group}:"
        for item in members:
            mark = "*" if item.is_current else " "
            note = f": {one_line(item.note, MAX_PRINTED_NOTE)}" if item.note else ""
            yield f"{mark} {item.label}{note}"


def matching(items: Sequence[PickerItem], text: str) -> list[PickerItem]:
    """Return the items that have all words of a text."""
    words = text.lower().split()
    return [item for item in items if item.matches(words)]

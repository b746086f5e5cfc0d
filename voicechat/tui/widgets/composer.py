"""The composer: a text input of one or more lines that Enter sends."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import TextArea

from voicechat.core.text import clean

FIRST_REPEAT_S = 0.7
"""Time in seconds within which a second press is a key repeat."""
NEXT_REPEAT_S = 0.2
"""Most time in seconds between the repeats of a held key."""
RELEASE_S = 0.4
"""Time in seconds without a repeat after which a held key counts as released."""
PASTE_S = 0.25
"""Time in seconds after a paste in which Enter belongs to the pasted text."""
MAX_RECALLED = 50
"""Most sent messages that can be recalled."""


class HeldKey:
    """Detects taps and holds of a key from its repeats; terminals report no key release.

    A held key repeats first after half a second, then quickly. Times are in seconds.
    """

    def __init__(self) -> None:
        self._last = float("-inf")
        self._repeats = 0

    def press(self, now: float) -> bool:
        """Record a press; return True if it is a new press, not a repeat."""
        gap, self._last = now - self._last, now
        if gap >= FIRST_REPEAT_S:
            self._repeats = 0
            return True
        self._repeats += gap < NEXT_REPEAT_S
        return False

    @property
    def held(self) -> bool:
        """True if the key repeats quickly, as only a held key does."""
        return self._repeats >= 2


class Composer(TextArea):
    """The text input of the conversation screen; posts `Sent` and `TalkKey`."""

    NEW_LINE = frozenset({"ctrl+j", "shift+enter", "alt+enter"})

    @dataclass
    class Sent(Message):
        """The user sent this text, which is not empty."""

        text: str

    @dataclass
    class TalkKey(Message):
        """Space in an empty composer: pressed, or released after a hold."""

        released: bool = False

    def __init__(self) -> None:
        super().__init__(
            id="composer",
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            compact=True,
        )
        self.cursor_blink = False
        self.space_talks = False
        """True if Space in an empty composer is the talk key."""
        self._space = HeldKey()
        self._release: Timer | None = None
        self._pasted_at = float("-inf")
        self._sent: deque[str] = deque(maxlen=MAX_RECALLED)
        self._recalled = 0
        """Position of the recalled message from the end; 0 if none is recalled."""

    def render_line(self, y: int) -> Strip:
        """Render a line; without a placeholder where not even a character fits."""
        if self.content_size.width < 1:
            return Strip.blank(0)
        return super().render_line(y)

    # Textual also calls the handlers of the base classes, unless `prevent_default` is called.

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "space" and self.space_talks and not self.text:
            event.stop()
            event.prevent_default()
            self._press_space()
        elif event.key in self.NEW_LINE or (event.key == "enter" and self._pasting):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.send()

    async def _on_paste(self, event: events.Paste) -> None:
        self._pasted_at = monotonic()

    @property
    def _pasting(self) -> bool:
        return monotonic() - self._pasted_at < PASTE_S

    def send(self) -> None:
        """Post the cleaned text and clear the composer. Does nothing if the text is blank."""
        text = clean(self.text).strip()
        if not text:
            return
        self._sent.append(text)
        self._recalled = 0
        self.clear()
        self.post_message(self.Sent(text))

    def prefill(self, text: str) -> None:
        """Replace the input with this text; the previous input can be recalled."""
        if self.text.strip():
            self._sent.append(self.text)
        self._recalled = 0
        self.load_text(text)
        self.move_cursor(self.document.end)

    def insert_input(self, text: str, *, pasted: bool) -> None:
        """Insert text that the user typed or pasted in another widget, as if it was entered here.

        An Enter that belongs to pasted text does not send it.
        """
        if text == " " and self.space_talks and not self.text:
            self._press_space()
            return
        if pasted:
            self._pasted_at = monotonic()
        self.insert(text)

    # ---------------------------------------------------------------- talk key

    def _press_space(self) -> None:
        if self._space.press(monotonic()):
            self.post_message(self.TalkKey())
        elif self._space.held:
            if self._release is not None:
                self._release.stop()
            self._release = self.set_timer(RELEASE_S, self._space_released)

    def _space_released(self) -> None:
        self._release = None
        self.post_message(self.TalkKey(released=True))

    # ---------------------------------------------------------------- recalled messages

    def action_cursor_up(self, select: bool = False) -> None:
        """Recall the previous message if nothing else is typed; otherwise move up a line."""
        if select or not self._recall(self._recalled + 1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Recall the next message if one is recalled; otherwise move down a line."""
        if select or not self._recalled or not self._recall(self._recalled - 1):
            super().action_cursor_down(select)

    def _recall(self, back: int) -> bool:
        """Show the message `back` places from the end; return False if there is none."""
        shown = self._sent[-self._recalled] if self._recalled else ""
        if self.text != shown or not 0 <= back <= len(self._sent):
            return False
        self._recalled = back
        self.load_text(self._sent[-back] if back else "")
        self.move_cursor(self.document.end)
        return True

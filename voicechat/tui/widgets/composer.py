"""The composer: a text input of one or more lines that Enter sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual._time import get_time
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from voicechat.core.text import clean
from voicechat.tui.composer_history import ComposerHistory
from voicechat.tui.key_repeat import NEXT_REPEAT_S, RELEASE_S, HeldKey, Press
from voicechat.tui.keys import UNUSED_EDITING_KEYS
from voicechat.tui.word_selection import WORD

PASTE_S = 0.25
"""Time in seconds after a paste in which Enter belongs to the pasted text."""
COMPLETION_KEYS = frozenset({"tab", "enter", "up", "down", "escape"})
"""Keys that belong to the completions while these are shown."""


class Composer(TextArea):
    """The text input of the conversation screen; posts `Sent` and `TalkKey`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # Ctrl+Z, which undoes in `TextArea`, suspends. A terminal may send Ctrl+- for Ctrl+_.
        Binding(
            "ctrl+underscore,ctrl+minus,ctrl+shift+minus", "undo", "Undo", id="undo", show=False
        ),
    ]

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
        self.complete: Callable[[str], bool] = lambda key: False
        """Uses a key for the completions at once, in the order of typing; False if it does not."""
        self._space = HeldKey()
        self._space_timer: Timer | None = None
        """Runs out when a held Space is released, or when a press was not a repeat."""
        self._pasted_at = float("-inf")
        for name in UNUSED_EDITING_KEYS:
            self._bindings.key_to_bindings.pop(name, None)
        self.sent = ComposerHistory()
        """The messages to recall."""
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
            self._press_space(event.time)
        elif event.key in self.NEW_LINE or (event.key == "enter" and self._pasting):
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key in COMPLETION_KEYS and self.complete(event.key):
            event.stop()
            event.prevent_default()
        elif event.key == "enter":
            event.stop()
            event.prevent_default()
            self.send()
        elif await self._edit(event.key):
            event.stop()
            event.prevent_default()

    async def _edit(self, key: str) -> bool:
        """Run the editing action of a key at once; return False if the key has none.

        Textual runs it after the key bubbled up, and so after characters that were typed later.
        """
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if await self.app.run_action(binding.action, self):
                return True
        return False

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert_input(event.text, pasted=True)

    async def _on_click(self, event: events.Click) -> None:
        """Select a word with a double click, and the line with a triple click."""
        if event.chain not in {2, 3}:
            return
        event.stop()
        event.prevent_default()
        row, column = self.get_target_document_location(event)
        line = self.document[row]
        start, end = 0, len(line)
        if event.chain == 2:
            words = (word.span() for word in WORD.finditer(line))
            start, end = next((s for s in words if s[0] <= column < s[1]), (column, column))
        self.selection = Selection((row, start), (row, end))

    @property
    def _pasting(self) -> bool:
        return get_time() - self._pasted_at < PASTE_S

    def send(self) -> None:
        """Post the cleaned text and clear the composer. Does nothing if the text is blank."""
        text = clean(self.text).strip()
        if not text:
            return
        self.remember(text)
        self._recalled = 0
        self.clear()
        self.post_message(self.Sent(text))

    def remember(self, text: str) -> None:
        """Add a message to those that can be recalled."""
        if self.sent.add(text):
            self.run_worker(self.sent.keep(text), group="history")

    @property
    def is_recalled(self) -> bool:
        """True while a sent message is recalled."""
        return self._recalled > 0

    def prefill(self, text: str) -> None:
        """Replace the input with this text; the previous input can be recalled."""
        if self.text.strip():
            self.sent.add(self.text)
        self._recalled = 0
        self.load_text(text)
        self.move_cursor(self.document.end)

    def insert_input(self, text: str, *, pasted: bool) -> None:
        """Insert text that the user typed or pasted in another widget, as if it was entered here.

        An Enter that belongs to pasted text does not send it, and line breaks at the end of pasted
        text are dropped.
        """
        if text == " " and self.space_talks and not self.text:
            self._press_space(get_time())
            return
        if pasted:
            self._pasted_at = get_time()
            text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        self.replace(text, *self.selection, maintain_selection_offset=False)

    # ---------------------------------------------------------------- talk key

    def _press_space(self, now: float) -> None:
        if self._space_timer is not None:
            self._space_timer.stop()
            self._space_timer = None
        press = self._space.press(now)
        if press is Press.NEW:
            self.post_message(self.TalkKey())
        elif press is Press.UNSURE:
            self._space_timer = self.set_timer(NEXT_REPEAT_S, self._space_pressed)
        elif self._space.held:
            self._space_timer = self.set_timer(RELEASE_S, self._space_released)

    def _space_pressed(self) -> None:
        self._space_timer = None
        self.post_message(self.TalkKey())

    def _space_released(self) -> None:
        self._space_timer = None
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
        sent = self.sent.messages
        shown = sent[-self._recalled] if self._recalled else ""
        if self.text != shown or not 0 <= back <= len(sent):
            return False
        self._recalled = back
        self.load_text(sent[-back] if back else "")
        self.move_cursor(self.document.end)
        return True

"""The app's side of the terminal: its input, size, cursor, suspension and clipboard."""

from __future__ import annotations

import shutil
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import RenderableType
from textual import constants, events, on
from textual.app import App
from textual.driver import Driver
from textual.geometry import Offset, Size
from textual.screen import Screen
from textual.selection import SELECT_ALL, Selection
from textual.timer import Timer
from textual.widgets import Input, TextArea

from voicechat.system import desktop_clipboard
from voicechat.system.terminal_guard import has_job_control
from voicechat.tui.key_repeat import NEXT_REPEAT_S, HeldKey, Press
from voicechat.tui.keys import KEYS, names_of
from voicechat.tui.widgets.notice_line import NOTICE_S, NoticeLine
from voicechat.tui.word_selection import word_at

MAX_EARLY_KEYS = 1_000
"""Most keys kept while the screen starts; the oldest are dropped."""
REDRAW_S = 0.1
"""Seconds between two looks if a terminal that was behind takes output again."""
_ACTS_ONCE = {*(key.action for key in KEYS if key.is_toggle), "close", "dismiss"}
"""Actions that the repeats of a held key must not take back or repeat."""
CLEAR = "\x1b[2J"
"""The command that clears the terminal."""


class TerminalApp(App[None]):
    """An app that takes every input once and draws on every terminal."""

    def __init__(self) -> None:
        super().__init__()
        # CSS classes of every screen by height and width in cells; voicechat.tcss has their effect.
        self.VERTICAL_BREAKPOINTS = [
            (0, "-bare"),
            (4, "-tiny"),
            (8, "-flat"),
            (12, "-low"),
            (20, "-high"),
        ]
        self.HORIZONTAL_BREAKPOINTS = [
            (0, "-thin"),
            (10, "-narrow"),
            (60, "-normal"),
            (100, "-wide"),
        ]
        self._early_keys: deque[events.Event] | None = deque(maxlen=MAX_EARLY_KEYS)
        """Keys pressed before the first frame; None after they were passed on."""
        self._held_toggles = {name: HeldKey() for name in names_of(lambda key: key.is_toggle)}
        """Keys whose repeats are dropped while they are held."""
        self._toggle_timers: dict[str, Timer] = {}
        """Run out when the second press of a toggle was not a repeat."""
        self._is_lent = False
        """True while another program has the terminal."""
        self._redraw_timer: Timer | None = None
        """Runs while the terminal is behind."""

    async def _on_mount(self, event: events.Mount) -> None:
        self.call_after_refresh(self._send_early_keys)

    def get_driver_class(self) -> type[Driver]:
        """Return the driver of the terminal."""
        driver = super().get_driver_class()
        if sys.platform == "win32" or constants.DRIVER is not None:
            return driver
        from voicechat.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    @property
    def cursor_position(self) -> Offset:
        """The place of the hidden terminal cursor, where an input method opens its window.

        Textual moves it after an edit only; this is the cursor of the focused widget.
        """
        focused = self.focused if self._screen_stack else None
        if isinstance(focused, TextArea | Input):
            return focused.cursor_screen_offset
        return Offset(0, 0)

    @cursor_position.setter
    def cursor_position(self, position: Offset) -> None:
        """Ignore a place: the focused widget knows it."""

    # ---------------------------------------------------------------- input

    async def on_event(self, event: events.Event) -> None:
        """Keep keys until the first frame is drawn, and drop the repeats of toggles.

        Input is dropped once the screens are removed: the program ends.
        """
        if not self._screen_stack and isinstance(event, events.InputEvent):
            return
        if self._early_keys is not None and isinstance(event, events.Key | events.Paste):
            self._early_keys.append(event)
        else:
            await self._pass_on(event)

    async def _pass_on(self, event: events.Event) -> None:
        if (
            isinstance(event, events.Key)
            and not event.is_forwarded
            and event.key in self._held_toggles
            and self._acts_once(event.key)
        ):
            await self._toggle_pressed(event)
        else:
            await super().on_event(event)

    def _acts_once(self, key: str) -> bool:
        """Return False if the screen uses the key of a toggle for something that may repeat."""
        binding = self.screen.active_bindings.get(key)
        return binding is None or binding.binding.action in _ACTS_ONCE

    async def _toggle_pressed(self, event: events.Key) -> None:
        """Pass on a press of a toggle's key once, however long it is held."""
        if (timer := self._toggle_timers.pop(event.key, None)) is not None:
            timer.stop()
        press = self._held_toggles[event.key].press(event.time)
        if press is Press.NEW:
            await super().on_event(event)
        elif press is Press.UNSURE:
            self._toggle_timers[event.key] = self.set_timer(
                NEXT_REPEAT_S, partial(super().on_event, event)
            )

    async def _send_early_keys(self) -> None:
        early, self._early_keys = self._early_keys or (), None
        for event in early:
            await self._pass_on(event)

    # ---------------------------------------------------------------- the terminal

    def on_resize(self, event: events.Resize) -> None:
        """Correct a size that is out of date.

        Textual reads the size in a signal handler, which the next signal can interrupt, so that the
        older of two sizes arrives last.
        """
        if self.is_headless or self.is_web:
            return
        size = Size(*shutil.get_terminal_size())
        if event.size != size:
            self.post_message(events.Resize(size, size))

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Draw, but not on a terminal that is behind: it gets the newest screen when it is free.

        A terminal stops taking output when its window is frozen or the network to it is slow.
        """
        if self._is_lent:
            return
        if self._redraw_timer is None and not getattr(self._driver, "is_behind", False):
            super()._display(screen, renderable)
        elif self._redraw_timer is None:
            self._redraw_timer = self.set_interval(REDRAW_S, self._redraw_when_free)

    def write_to_terminal(self, data: str) -> None:
        """Write a command to the terminal, unless there is none or another program has it."""
        if self._driver is not None and not (self.is_headless or self.is_web or self._is_lent):
            self._driver.write(data)

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Give the terminal to another program inside of the `with` block."""
        failure: BaseException | None = None
        with super().suspend():
            self._is_lent = True
            try:
                yield
            except BaseException as error:  # Textual takes the terminal back without one only
                failure = error
            self._is_lent = False
        self.action_redraw()
        if failure is not None:
            raise failure

    def _redraw_when_free(self) -> None:
        if self._redraw_timer is not None and getattr(self._driver, "is_idle", True):
            self._redraw_timer.stop()
            self._redraw_timer = None
            self.action_redraw()

    def action_redraw(self) -> None:
        """Draw every cell of the screen again."""
        if self._driver is not None:
            self._driver.write(CLEAR)
        for screen in self.screen_stack:
            screen.refresh(layout=True)

    @on(Driver.SignalResume)
    def _resumed(self) -> None:
        """Draw the screen after a suspension: the terminal shows nothing of it."""
        self.action_redraw()

    def action_suspend(self) -> None:
        """Return to the shell, which continues the app with `fg`."""
        if has_job_control():
            self.action_suspend_process()
        else:
            text = "No shell started voicechat, so it cannot be suspended."
            self.notify(text, severity="warning", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for suspending where the system or the terminal has no way back."""
        if action == "suspend":
            return sys.platform != "win32" and (self._driver is None or self._driver.can_suspend)
        return super().check_action(action, parameters)

    # ---------------------------------------------------------------- selection and clipboard

    def on_click(self, event: events.Click) -> None:
        """Select a word with a double click, and the whole text with a triple click.

        The widget has already selected its whole text, or that of its neighbors.
        """
        screen = self.screen
        if event.chain not in {2, 3} or not screen.selections:
            return
        widget, offset = screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        selection: Selection | None = None
        if widget is not None and event.chain == 3:
            selection = SELECT_ALL
        elif widget is not None and offset is not None:
            selected = widget.get_selection(SELECT_ALL)
            selection = word_at(selected[0] if selected else "", offset)
        screen.selections = {widget: selection} if widget and selection else {}

    def copy_to_clipboard(self, text: str) -> None:
        """Copy the text through the terminal and, if there is one, with a program; say so.

        Many terminals do not take text for the clipboard (OSC 52), and none says so.
        """
        super().copy_to_clipboard(text)
        self.run_worker(desktop_clipboard.copy(text), group="clipboard", exclusive=True)
        count = len(text)
        self.show_here(f"Copied {count:,} character{'s' * (count != 1)}.")

    # ---------------------------------------------------------------- notices

    def show_here(self, text: str, seconds: float = NOTICE_S) -> None:
        """Show the reply to a key on the screen that is on top, whichever it is."""
        line = next(iter(self.screen.query(NoticeLine)), None)
        if line is None:
            line = NoticeLine(classes="-over")
            self.screen.mount(line)
        if not line.is_attached:  # the screen is closing
            return
        line.show(text, seconds=seconds, is_reply=True)

"""The line of keys at the bottom."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

from voicechat.tui.entries import QUIET
from voicechat.tui.keys import KEYS, shown


class KeyLine(Static):
    """The keys that do something now, as many as fit; what is greyed out does nothing just now.

    One widget that draws a line, so that a change of mode costs one line and no layout.
    """

    def __init__(self) -> None:
        super().__init__("", markup=False, id="keys")

    def on_mount(self) -> None:
        """Draw again whenever the bindings change."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """The line for the width there is."""
        room = self.content_size.width
        line = Content("")
        for binding, word, enabled in self._shown():
            part = self._part(binding, word, enabled)
            gap = "  " if line else ""
            if line.cell_length + len(gap) + part.cell_length > room:
                continue
            line = Content.assemble(line, gap, part)
        return line

    def _shown(self) -> list[tuple[Binding, str, bool]]:
        """Binding, word and whether it works now, in the order of the table; no hidden ones."""
        active: dict[str, tuple[Binding, bool]] = {}
        for _, binding, enabled, _tooltip in self.screen.active_bindings.values():
            active.setdefault(binding.id or "", (binding, enabled))
        return [
            (active[key.action][0], key.word, active[key.action][1])
            for key in KEYS
            if key.word and key.action in active
        ]

    @staticmethod
    def _part(binding: Binding, word: str, enabled: bool) -> Content:
        name = shown(binding.key)
        if not enabled:
            return Content(f"{name} {word}").stylize("$foreground 30%")
        press = Style.from_meta({"key": binding.key})
        text = Content.assemble((name, "bold $footer-key-foreground"), (f" {word}", QUIET))
        return text.stylize(press)

    def on_click(self, event: Click) -> None:
        """A click on a key presses it."""
        key = event.style.meta.get("key")
        if isinstance(key, str):
            self.app.simulate_key(key)

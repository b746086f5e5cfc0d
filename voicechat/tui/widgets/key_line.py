"""The line of keys at the bottom."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

from voicechat.tui.keys import KEYS, shown
from voicechat.tui.widgets.entry_text import QUIET

_GAP = Content("  ")


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
        found = self._shown()
        line = _GAP.join([part for part, _ in found])
        if line.cell_length > room:
            line = _GAP.join([part for part, enabled in found if enabled])
        while line.cell_length > room and found:
            found.pop()
            line = _GAP.join([part for part, enabled in found if enabled])
        return line

    def _shown(self) -> list[tuple[Content, bool]]:
        """Each key and whether it works now, in the order of the table; no hidden ones."""
        active: dict[str, tuple[Binding, bool]] = {}
        for _, binding, enabled, _tooltip in self.screen.active_bindings.values():
            active.setdefault(binding.id or "", (binding, enabled))
        return [
            (self._part(*active[key.action], key.word), active[key.action][1])
            for key in KEYS
            if key.word and key.action in active
        ]

    @staticmethod
    def _part(binding: Binding, enabled: bool, word: str) -> Content:
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

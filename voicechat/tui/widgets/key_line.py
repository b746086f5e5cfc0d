"""The key line at the bottom of the screen."""

from __future__ import annotations

from textual.binding import Binding
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.style import Style
from textual.widgets import Static

from voicechat.tui.keys import KEYS, key_name
from voicechat.tui.widgets.entry_text import QUIET

_GAP = Content("  ")
_DROPPED_LAST = ("quit", "help")
"""The keys that stay longest in a narrow terminal, in this order."""


class KeyLine(Static):
    """A line of keys, as many as fit; keys that have no effect now are grayed out.

    In a narrow terminal, help is dropped last and quit never.
    A single widget draws the line, so a mode change redraws one line without a layout.
    """

    def __init__(self) -> None:
        super().__init__("", markup=False, id="keys")

    def on_mount(self) -> None:
        """Redraw whenever the bindings change."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Content:
        """Return the line for the current width."""
        width = self.content_size.width
        keys = self._visible_keys()
        line = _GAP.join([text for text, _ in keys.values()])
        if line.cell_length > width:
            keys = {action: key for action, key in keys.items() if key[1]}
            line = _GAP.join([text for text, _ in keys.values()])
        while line.cell_length > width and len(keys) > 1:
            others = [action for action in keys if action not in _DROPPED_LAST]
            del keys[others[-1] if others else max(keys, key=_DROPPED_LAST.index)]
            line = _GAP.join([text for text, _ in keys.values()])
        return line

    def _visible_keys(self) -> dict[str, tuple[Content, bool]]:
        """Return the text of each visible key and True if it works now, by action.

        In the order of `KEYS`.
        """
        active: dict[str, tuple[Binding, bool]] = {}
        for _, binding, enabled, _tooltip in self.screen.active_bindings.values():
            active.setdefault(binding.id or "", (binding, enabled))
        return {
            key.action: (self._key_text(*active[key.action], key.label), active[key.action][1])
            for key in KEYS
            if key.label and key.action in active
        }

    @staticmethod
    def _key_text(binding: Binding, enabled: bool, label: str) -> Content:
        name = key_name(binding.key)
        if not enabled:
            return Content(f"{name} {label}").stylize("$foreground 30%")
        press = Style.from_meta({"key": binding.key})
        text = Content.assemble((name, "bold $footer-key-foreground"), (f" {label}", QUIET))
        return text.stylize(press)

    def on_click(self, event: Click) -> None:
        """Press the clicked key."""
        key = event.style.meta.get("key")
        if isinstance(key, str):
            self.app.simulate_key(key)

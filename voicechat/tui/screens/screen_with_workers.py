"""A screen whose workers end before its widgets are removed."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.screen import Screen


class ScreenWithWorkers(Screen[None]):
    """Ends its workers when it closes.

    Textual removes the widgets of a screen first and its workers last. A worker that continues
    between the two finds no widget and ends the app.
    """

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Cancel the workers and close the screen."""
        self.workers.cancel_node(self)
        if self not in self.app.screen_stack:
            return AwaitComplete()  # closed by an earlier key
        return super().dismiss(result)

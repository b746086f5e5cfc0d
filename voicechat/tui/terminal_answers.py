"""Answers of the terminal to questions that the app asks it."""

from __future__ import annotations

from textual.color import Color
from textual.message import Message

ASK_BACKGROUND = "\x1b]11;?\x07"
"""The question for the background color (OSC 11)."""


class BackgroundReported(Message):
    """The terminal's answer to `ASK_BACKGROUND`."""

    def __init__(self, color: Color) -> None:
        super().__init__()
        self.color = color

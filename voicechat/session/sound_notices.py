"""Notices about the microphone and the speaker of a session."""

from __future__ import annotations

from collections.abc import Iterator

from voicechat.audio import messages as sound
from voicechat.core.effects import Level, Notice
from voicechat.core.text import clean

ECHO_THRESHOLD_RAISED = Notice(
    "Two replies stopped right after they began, maybe by their own echo.",
    Level.WARNING,
    "Speak up to interrupt the next ones, or press Esc; headphones help.",
)


def other_devices(
    microphone: str | None, speaker: str | None, opened: sound.Opened
) -> Iterator[Notice]:
    """Yield a notice for each device that is not the one before; the first ones are no news."""
    for noun, before, name in (
        ("microphone", microphone, opened.input_name),
        ("speaker", speaker, opened.output_name),
    ):
        if before and name and name != before:
            yield device_switched(noun, clean(name))


def device_switched(noun: str, name: str) -> Notice:
    """Return the notice that another device is in use now."""
    return Notice(f"The {noun} is now {name}.")


class SilenceNotices:
    """Reports a silent microphone and its end, each once: a noise gate would repeat both."""

    def __init__(self) -> None:
        self._reported: set[bool] = set()
        self._silent = ""
        """Text of the notice about the silence."""

    def take(self, silence: sound.DigitalSilence) -> Notice | None:
        """Return the notice about the silence or its end; None if the user had it before."""
        if silence.ended in self._reported:
            return None
        self._reported.add(silence.ended)
        text = clean(silence.text)
        if silence.ended:
            return Notice(text, Level.INFO, silence.hint, ends=self._silent)
        self._silent = text
        return Notice(text, Level.WARNING, silence.hint)

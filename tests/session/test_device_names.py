"""Names of devices come from hardware and other programs: they are cleaned where they arrive."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from session_driver import options

from voicechat.audio import messages as sound
from voicechat.core.text import REPLACEMENT
from voicechat.session.audio_link import cleaned
from voicechat.session.session import Session

NAME = "Head\x1b]52;c;cm0=\x07set\n\u202e[/b][@click=app.quit]\x9b31m"
SHOWN = f"Head{REPLACEMENT}]52;c;cm0={REPLACEMENT}set {REPLACEMENT}[/b][@click=app.quit]"


@pytest.mark.parametrize(
    "event",
    [
        sound.Opened(NAME, NAME, 1.0, NAME, NAME, NAME),
        sound.Switched("output", NAME),
        sound.Problem(NAME, NAME),
        sound.DigitalSilence(False, NAME, NAME),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_texts_of_an_event_are_clean_lines(event: sound.AudioEvent) -> None:
    texts = [value for value in astuple(cleaned(event)) if isinstance(value, str)]  # type: ignore[type-var]
    assert any(text.startswith(SHOWN) for text in texts)
    assert not any(character in text for text in texts for character in "\x1b\x07\n\u202e\x9b")


def test_a_session_shows_no_raw_name() -> None:
    session = Session(options("ws://127.0.0.1:1/v1/realtime"))
    session._receiver.receive(sound.Opened(NAME, None))
    assert session.microphone is not None
    assert session.microphone.startswith(SHOWN)
    assert session.speaker is None

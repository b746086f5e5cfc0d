"""Devices that change during a conversation, as shown to the user."""

from __future__ import annotations

import pytest
from on_terminal import ended
from virtual_audio import VirtualCard

pytestmark = [pytest.mark.sound, pytest.mark.end_to_end, pytest.mark.timeout(120)]


def test_a_new_default_is_reported_in_one_line(start, card: VirtualCard) -> None:
    card.route_as_desktop()
    card.add("kitchen", "Kitchen")
    terminal = start(columns=100, environ=card.environment)
    terminal.see("● listening", 30)
    card.make_default(sink="kitchen")
    terminal.see("The speaker is now Kitchen.")
    card.make_default(source="kitchen_mic")
    terminal.see("The microphone is now Kitchen-Mic.")
    assert "sound device stopped" not in terminal.reading


def test_a_hanging_sound_server_is_reported_and_does_not_delay_the_exit(
    start, card: VirtualCard
) -> None:
    terminal = start(columns=100, environ=card.environment)
    terminal.see("● listening", 30)
    card.freeze()
    terminal.see("The sound device stopped; it is being reopened.")
    terminal.type("what is two plus two\n")
    terminal.see("voice .*4")
    family = terminal.family()
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family)


def test_answers_are_shown_as_text_while_the_device_is_stalled(start, card: VirtualCard) -> None:
    terminal = start(columns=100, environ=card.environment)
    terminal.see("● listening", 30)
    card.suspend(True)
    terminal.see("The sound device does not respond.")
    terminal.type("what is two plus two\n")
    terminal.see("voice .*4")
    card.suspend(False)
    terminal.see("● listening")
    assert terminal.until(lambda: "does not respond" not in terminal.reading, 20), "news goes"


def test_the_line_mode_reports_a_new_default(start, card: VirtualCard) -> None:
    card.route_as_desktop()
    card.add("kitchen", "Kitchen")
    terminal = start("--plain", environ=card.environment)
    terminal.see("Ready. Type a message", 30)
    card.wait_for_streams()
    card.make_default(sink="kitchen")
    terminal.see("The speaker is now Kitchen.")

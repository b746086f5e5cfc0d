"""Text and JSON of findings, and the redaction of personal names."""

from __future__ import annotations

import json

import pytest

from voicechat.doctor.findings import Redactor, as_json, as_text, is_usable, note, ok, problem
from voicechat.errors import Secret

OK = ok("Speaker", "It opens.")
NOTE = note("SSH", "Far away.", "Come here.")
PROBLEM = problem("Microphone", "It is muted.", "Unmute it.")


def test_findings_as_text() -> None:
    assert as_text([OK, NOTE, PROBLEM]) == (
        "ok       Speaker: It opens.\n"
        "note     SSH: Far away.\n"
        "         Come here.\n"
        "PROBLEM  Microphone: It is muted.\n"
        "         Unmute it.\n"
        "\n"
        "1 problem found."
    )
    assert as_text([OK]).endswith("\n\nNo problems found.")
    assert as_text([PROBLEM, PROBLEM]).endswith("\n\n2 problems found.")


def test_lines_wrap_between_words_and_commands_do_not_wrap() -> None:
    found = [
        problem("Microphone", "It is muted, and has been all day.", "Unmute it in the settings."),
        problem("Server", "It hangs.", "Restart it: systemctl --user restart a-b-c"),
    ]
    assert as_text(found, 36).startswith(
        "PROBLEM  Microphone: It is muted,\n"
        "         and has been all day.\n"
        "         Unmute it in the settings.\n"
        "PROBLEM  Server: It hangs.\n"
        "         Restart it: systemctl --user restart a-b-c\n"
    )
    assert as_text(found, 20) == as_text(found)


def test_findings_as_json() -> None:
    report = json.loads(as_json([OK, PROBLEM]))
    assert report["usable"] is False
    assert report["findings"][1] == {
        "level": "problem",
        "title": "Microphone",
        "sentence": "It is muted.",
        "remedy": "Unmute it.",
    }


def test_only_problems_make_the_machine_unusable() -> None:
    assert is_usable([OK, NOTE])
    assert not is_usable([OK, NOTE, PROBLEM])


REDACTOR = Redactor(
    home="/home/anna/",
    names=["anna", "annas-box", "root", "me"],
    secrets=[Secret("sk-12345678")],
    hosts=["llm.annas.example"],
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/anna/.local cannot be written.", "~/.local cannot be written."),
        ("Log in as root and tell me.", "Log in as root and tell me."),
        ("HDMI of Annas-Box", "HDMI of (hidden)"),
        ("anna_headset and annapurna", "(hidden)_headset and annapurna"),
        ("it said sk-12345678", "it said ***"),
        ("llm.annas.example refused", "(your server) refused"),
        ("bad\x1b[31m name", "bad\ufffd[31m name"),
    ],
)
def test_personal_names_are_redacted(text: str, shown: str) -> None:
    assert REDACTOR.redact(text) == shown
    assert REDACTOR.redact_finding(problem("T", text, text)) == problem("T", shown, shown)


@pytest.mark.parametrize("name", ["Bela's AirPods", "Bela’s AirPods"])
def test_the_owner_of_a_device_is_redacted(name: str) -> None:
    assert REDACTOR.redact_device_name(name) == "Someone's AirPods"


def test_without_known_names_text_is_unchanged() -> None:
    assert Redactor().redact("any text") == "any text"

"""`voicechat setup`: choose a model, check the sound, write the settings."""

from __future__ import annotations

import sys

from voicechat.cli.command import CommandEntry
from voicechat.errors import UsageError


def setup() -> int:
    """Set voicechat up in a minute: the model, the microphone and the speaker.

    Finds keys in the environment and model servers on this machine, asks which one to use, checks
    the microphone, the speaker and the echo, and lets the embedded voice answer a sentence. A key
    that you enter is kept at once; nothing else is written before you agree.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("Setup asks questions, so it needs a terminal.", "See docs/settings.md.")
    from voicechat.cli import _dialog, _first_start, _setup_steps

    _first_start.mark_offered()
    if _setup_steps.set_up():
        _dialog.tell("Start with: voicechat")
    return 0


COMMAND = CommandEntry(5, "setup", "Choose a model, check the sound, write the settings.", setup)

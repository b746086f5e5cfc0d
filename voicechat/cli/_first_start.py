"""The offer to set voicechat up, on the first start on a terminal and never again."""

from __future__ import annotations

import sys
from pathlib import Path

from voicechat.cli import _dialog
from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.errors import VoicechatError
from voicechat.system.private_files import write_private

_MARK = "setup-offered"

_CHOICES = ("model", "base_url", "profile", "token", "token_url", "token_command", "chat_url")
"""Settings of a user who has chosen a model."""


def is_due(options: Options) -> bool:
    """Return True on the first start on a terminal, if no model was chosen in any way."""
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not on_terminal or any(getattr(options, name) for name in _CHOICES):
        return False
    return not _mark().exists() and not loader.settings_path().exists()


def mark_offered() -> bool:
    """Remember that setup was offered; False if that cannot be stored."""
    try:
        write_private(_mark(), b"")
    except OSError:
        return False
    return True


def offer(options: Options) -> bool:
    """Offer to set voicechat up; True if the user did and the settings have changed.

    Without a place to remember the offer, nothing is offered.
    """
    if not mark_offered():
        return False
    _dialog.tell(
        "",
        "This is the first start of voicechat.",
        "",
        f"  Enter  start now. {_default_model(options)}",
        "  s      set up: choose a model, check microphone and speaker (a minute)",
        "",
        "To set up later, type: voicechat setup",
    )
    if _dialog.ask("Enter or s:").lower() not in {"s", "setup"}:
        return False
    from voicechat.cli import _setup_steps

    return _setup_steps.set_up()


def _default_model(options: Options) -> str:
    from voicechat.providers import catalog

    try:
        choice = catalog.resolve(options.model, environ=options.environ)
    except VoicechatError:
        return ""
    if choice.needs_local_server:
        return "The embedded voice answers; it needs no key."
    return f"{choice.name} answers."


def _mark() -> Path:
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / _MARK

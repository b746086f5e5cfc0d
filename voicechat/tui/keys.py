"""Every key of the screen, once: bindings, footer, help, palette and the README's table.

Which keys are safe: each terminal sends Escape, the function keys, Page Up and Down, and
Ctrl with a letter as one byte. Four of those bytes are other keys (Ctrl+I is Tab, Ctrl+M is
Enter, Ctrl+[ is Escape, Ctrl+H is Backspace on many terminals), Ctrl+B and Ctrl+A belong to
tmux and screen, Ctrl+Z suspends, and A C D E F K U V W X Y edit the text being typed. What
is left is G L N O R T and, by custom, P for the palette and Q to quit. Ctrl+J is the byte of
a line feed, so here it makes a new line. Function keys are a second way, because a desktop
may keep some for itself (F1, F10, F11) and a tmux configuration some letters.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One thing a key does. `action` is also the id under which the key can be remapped."""

    action: str
    keys: str
    """Textual's names, separated by commas; the first one is shown in the footer."""
    word: str
    """For the footer; empty when it has no place there."""
    meaning: str
    """For help and README: one sentence part."""
    sound: bool = False
    """Makes sense only when sound is open."""


KEYS = (
    Key(
        "talk", "f2,ctrl+t", "Talk", "start talking; press again to send (push-to-talk)", sound=True
    ),
    Key("mute", "f3,ctrl+o", "Mute", "mute or unmute the microphone", sound=True),
    Key(
        "hands_free",
        "f4,ctrl+g",
        "Hands-free",
        "switch between hands-free and push-to-talk",
        sound=True,
    ),
    Key("interrupt", "escape", "Stop", "stop speech, thinking and tools"),
    Key(
        "decide",
        "f8",
        "Decide",
        "go to the waiting tool call; Enter confirms the choice, Esc denies",
    ),
    Key("new_conversation", "f5,ctrl+n", "New", "start a new conversation"),
    Key("unfold", "ctrl+r", "", "expand or collapse tool results"),
    Key("earlier", "pageup", "", "scroll up and load earlier turns"),
    Key("later", "pagedown", "", "scroll down"),
    Key("help", "f1,ctrl+l", "Help", "show this help"),
    Key("quit", "ctrl+q", "Quit", "quit (or press Ctrl+C twice)"),
)

TYPING = (
    ("Enter", "send the message; this interrupts the answer"),
    ("Ctrl+J", "new line (Shift+Enter and Alt+Enter where the terminal sends them)"),
    ("Up, Down", "earlier messages, while the input is empty"),
    ("Space", "in push-to-talk, with an empty input: tap to start and to send, or hold"),
    ("Ctrl+P", "all commands, themes"),
)
"""What the composer's own keys do; the editing keys are the usual ones."""

_NAMES = {"pageup": "Page Up", "pagedown": "Page Down", "escape": "Esc"}


def shown(key: str) -> str:
    """The key as a user reads it: `ctrl+t` is "Ctrl+T", `pageup` is "Page Up"."""
    return "+".join(_NAMES.get(part, part.title()) for part in key.split("+"))


def shown_all(key: Key) -> str:
    """Every way to press it, as a user reads it: "F2, Ctrl+T"."""
    return ", ".join(shown(name) for name in key.keys.split(","))


def rows() -> list[tuple[str, str]]:
    """Key and meaning of everything that can be pressed, for help and README."""
    return [(shown_all(key), key.meaning) for key in KEYS] + list(TYPING)


def markdown() -> str:
    """The key table as the README has it."""
    lines = ["| Key | What it does |", "|---|---|"]
    lines += [f"| {key} | {meaning} |" for key, meaning in rows()]
    return "\n".join(lines) + "\n"

"""Cleaning of outside text: clean text cannot control a terminal or hide anything from a reader.

U+FFFD replaces each removed character, so that a user sees that there was one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_SURROGATES = "\ud800-\udfff"
_SELECTORS = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_JOINERS = "\u200c\u200d"
_WESTERN = "\x00-\u02ff"

_HAZARD = re.compile(
    f"[{_CONTROLS}{_BIDI}{_INVISIBLE}{_SURROGATES}]"
    # One variation selector picks an emoji's look; a row of them carries hidden text.
    f"|(?<=[{_SELECTORS}])[{_SELECTORS}]"
    # Joiners build emoji families and Persian or Indic words; anywhere else they only hide.
    f"|(?<=[{_WESTERN}{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?=[{_WESTERN}{_JOINERS}])|[{_JOINERS}]\\Z"
)
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LINE_END = re.compile("\r\n|[\u2028\u2029]")
_SPLITTABLE = re.compile(f"[\r\ud800-\udbff{_JOINERS}]\\Z")

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(r\\n|.))", re.DOTALL)
_SEPARATOR = re.compile("[\u2028\u2029]")
_TO_STAY = frozenset('"\\\n\t')

KEY_SHAPES = re.compile(
    rb"(?<![\w-])(?:"
    rb"(?:sk|xai|gsk|ek|hf|vck|glpat|github_pat|xox[a-z])[-_](?=[\w-]{0,80}\d)[\w-]{20,}"
    rb"|gh[a-z]_[A-Za-z0-9]{36,}|AIza[\w-]{35}|AKIA[A-Z0-9]{16}|ya29\.[\w-]{20,}"
    rb"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
)
"""Keys of well-known services by their prefixes, and JSON web tokens."""

KEY_MASK = "***"
"""Replacement for a key."""

REPLACEMENT = "\ufffd"
"""Replacement for a character that must not be shown."""


EXCERPT_CHARACTERS = 300
"""Longest text of a provider in a message, in characters."""


def clean(text: str) -> str:
    """Return the text without characters that control a terminal, reorder the line or hide.

    Controls other than newline and tab, bidi marks, overrides and isolates, lone surrogates,
    zero-width and tag characters become U+FFFD; CRLF and Unicode line separators become LF; a
    surrogate pair becomes its character. Clean text is returned unchanged after one scan.
    """
    if text.isascii() and text.isprintable():
        return text
    if _LINE_END.search(text):
        text = _LINE_END.sub("\n", text)
    if not _HAZARD.search(text):
        return text
    return _HAZARD.sub(REPLACEMENT, _PAIR.sub(_joined, text))


def clean_json(text: str) -> str:
    """Return JSON text in which every string is clean.

    Escapes are cleaned as the characters they encode: `\\u001b` becomes U+FFFD. Newline and tab
    remain escapes, and the rest of the JSON is unchanged; text that is not JSON is only cleaned.
    """
    if "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
    return clean(_SEPARATOR.sub(r"\\n", text))


def has_key(text: str) -> bool:
    """Return True when a text contains what looks like a key of a well-known service."""
    return KEY_SHAPES.search(text.encode("utf-8", "replace")) is not None


def without_keys(text: str) -> str:
    """Return a text in which `KEY_MASK` replaces what looks like a key of a well-known service."""
    data = text.encode("utf-8", "surrogatepass")
    return KEY_SHAPES.sub(KEY_MASK.encode(), data).decode("utf-8", "surrogatepass")


def excerpt(text: str, most: int = EXCERPT_CHARACTERS) -> str:
    """Return a text for a message, cut to `most` characters with an ellipsis."""
    if len(text) <= most:
        return text
    return text[: most - 1].rstrip() + "…"


def split_tail(text: str) -> tuple[str, str]:
    """Split a piece of streamed text before a last character that depends on the next piece.

    That is the first half of a surrogate pair, a joiner or a carriage return. Prepend the tail
    (usually empty, at most one character) to the next piece before cleaning it; clean it alone if
    no piece follows.
    """
    if not text or text[-1].isalnum() or not _SPLITTABLE.search(text):
        return text, ""
    return text[:-1], text[-1]


def _joined(pair: re.Match[str]) -> str:
    halves = pair.group()
    return chr(0x10000 + ((ord(halves[0]) - 0xD800) << 10) + (ord(halves[1]) - 0xDC00))


def _unescaped(escape: re.Match[str]) -> str:
    """Return the character of an escape, or the escape itself where JSON needs it."""
    code, short = escape.groups()
    if code is None:
        if short == r"r\n":
            return r"\n"
        return REPLACEMENT if short in {"b", "f", "r"} else escape.group()
    character = chr(int(code, 16))
    return escape.group() if character in _TO_STAY else character


def one_of(names: Iterable[str]) -> str:
    """Return the names for a sentence: "a" for a single one, else "one of a, b, c"."""
    listed = list(names)
    return f"{'one of ' if len(listed) > 1 else ''}{', '.join(listed)}"

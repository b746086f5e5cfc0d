"""Confusable characters in a text on which the user decides, described in sentences.

`remarks` reports letters of several alphabets in one word, words of another alphabet that look
Latin, characters that look like ASCII, unusual spaces, and characters that cannot be displayed.
Text in a single language usually has no remarks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from voicechat.core.text import REPLACEMENT

MAX_REMARKS = 6
"""Largest number of remarks on one text."""

_ALPHABETS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "GEORGIAN", "LISU")
_LATIN_LOOKALIKES = {
    "CYRILLIC": "аАВВсСеЕһНіІјЈкКМоОрРѕЅТуУхХԁԛԜѵ",
    "GREEK": "αΑΒϲΕΗιΙκΚΜνΝοΟρΡΤυΥχΧΖ",
    "ARMENIAN": "օոսԼՕՍցհ",
    "CHEROKEE": "ᎪᏴᏟᎬᎻᎫᏦᏞᎷᏢᏚᎢᏙᎳᏃ",
}
"""Letters that look like Latin ones."""
_ASCII_LOOKALIKES = {
    "\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2216": "\\", "\u29f5": "\\", "\u2223": "|",
    "\u01c0": "|", "\u2236": ":", "\ua789": ":", "\u037e": ";", "\u2010": "-", "\u2011": "-",
    "\u2012": "-", "\u2212": "-", "\u02d7": "-", "\u201a": ",", "\u066a": "%", "\u2217": "*",
    "\u02c4": "^", "\u2038": "^", "\u02bc": "'", "\u02b9": "'", "\u2032": "'", "\u0131": "i",
    "\u017f": "s", "\u2039": "<", "\u203a": ">", "\u02c2": "<", "\u02c3": ">", "\ua4f8": ".",
    "\u0660": ".", "\u06d4": "-", "\u1735": "/", "\u05f3": "'", "\u02bb": "`", "\u2035": "`",
}  # fmt: skip
"""Characters that look like an ASCII one without being a variant of it."""
_GAP = re.compile(r"[^\S\n]{24}|(?:\n[^\S\n]*){5}\S")
"""A run of spaces or empty lines that hides the text after it; indentation is rarely this deep."""
_MAX_MARKS = 3
"""Largest number of combining marks on one letter in any common language."""
_WORD = re.compile(r"[^\W\d_]+")


def remarks(text: str) -> list[str]:
    """Return sentences about what a user cannot see in the text, at most `MAX_REMARKS`."""
    found = [*_hidden_by_space(text)]
    if not text.isascii():
        found = list(
            dict.fromkeys(
                [*found, *_undisplayable(text), *_mixed_alphabets(text), *_lookalikes(text)]
            )
        )
    more = len(found) - MAX_REMARKS
    return found if more <= 0 else [*found[:MAX_REMARKS], f"{more} more remarks."]


def _hidden_by_space(text: str) -> Iterator[str]:
    gap = _GAP.search(text)
    if gap is not None:
        yield "More text follows after a long run of spaces or empty lines."


def _undisplayable(text: str) -> Iterator[str]:
    hidden = text.count(REPLACEMENT)
    if hidden:
        count = "1 character" if hidden == 1 else f"{hidden} characters"
        yield f"{count} cannot be displayed (shown as {REPLACEMENT})."
    stacked = 0
    for character in text:
        stacked = stacked + 1 if unicodedata.combining(character) else 0
        if stacked > _MAX_MARKS:
            yield "Many marks are stacked on one letter; they may cover the text next to it."
            return


def _mixed_alphabets(text: str) -> Iterator[str]:
    words = [word for word in dict.fromkeys(_WORD.findall(text)) if not word.isascii()]
    among_latin = re.search("[A-Za-z]", text) is not None or all(map(_looks_latin, words))
    for word in words:
        alphabets = sorted({name for letter in word if (name := _alphabet(letter))})
        if len(alphabets) > 1:
            names = " and ".join(name.title() for name in alphabets)
            yield f"“{word}” mixes {names} letters."
        elif among_latin and _looks_latin(word):
            yield f"“{word}” looks Latin but is {alphabets[0].title()}."


def _looks_latin(word: str) -> bool:
    return all(letter in _LATIN_LOOKALIKES.get(_alphabet(word[0]), "") for letter in word)


def _lookalikes(text: str) -> Iterator[str]:
    for character in dict.fromkeys(text):
        if character.isascii() or character == REPLACEMENT:
            continue
        plain = _ASCII_LOOKALIKES.get(character) or unicodedata.normalize("NFKC", character)
        if character.isspace() or unicodedata.category(character) == "Zs":
            yield f"A space is not a regular one ({_name(character)})."
        elif character == "\u2800" or character == "\u1680":
            yield f"A character looks like a space but is not ({_name(character)})."
        elif len(plain) == 1 and plain.isascii():
            yield f"“{character}” looks like {plain!r} but is not ({_name(character)})."
        elif character.isdigit():
            yield f"“{character}” is a digit of another script ({_name(character)})."


def _alphabet(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((each for each in _ALPHABETS if name.startswith(f"{each} ")), "")


def _name(character: str) -> str:
    return f"{unicodedata.name(character, 'unnamed').lower()}, U+{ord(character):04X}"

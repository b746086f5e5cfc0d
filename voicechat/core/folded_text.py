"""Folded text: a text without the differences that a listener does not hear.

Two texts that sound alike have the same folded form: composed and decomposed letters, wide and
mathematical letters, upper case, curved quotes and dashes, emphasis of Markdown, and hidden
characters, for which a cleaned text has U+FFFD.

Sources: Unicode Standard Annex 15 (NFKC); Unicode Standard, section 5.18 (case folding).
"""

from __future__ import annotations

import re
import unicodedata

from voicechat.core.text import REPLACEMENT

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201f", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys(f"{REPLACEMENT}*`~", None),
    }
)
_EMPHASIS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
"""Underscores at an edge of a word; inside of one they are a part of it."""


def folded(text: str) -> str:
    """Return the folded form of a text."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _EMPHASIS.sub("", text.translate(_ALIKE)).casefold()

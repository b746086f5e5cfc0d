"""JSON values that no server should send, and the check of the events that come of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, get_args

from hypothesis import strategies as st
from outside import texts

from voicechat.core.events import AudioDelta, Event
from voicechat.providers.codec import Codec

EVENTS = get_args(Event)


def any_json(keys: Iterable[str]) -> st.SearchStrategy[Any]:
    """Return any JSON value, with control characters; its objects have these keys."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(st.characters() | st.sampled_from("\x1b\x9b\u202e\ud800\udc00\r\n")),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(list(keys)), inner, max_size=5)
        ),
        max_leaves=12,
    )


def clean_events(reader: Codec, frame: str | bytes) -> list[Event]:
    """Return the events in a frame; assert that they are whole and have no control characters."""
    found = reader.decode(frame)
    for event in found:
        assert isinstance(event, EVENTS)
        for text in texts(event):
            assert not any(
                unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in text
            )
        if isinstance(event, AudioDelta):
            assert len(event.pcm) % 2 == 0
    return found

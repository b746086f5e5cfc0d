"""Text of an event that came from outside."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping


def texts(value: object) -> Iterator[str]:
    """Return all text in an event."""
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        for inner in dataclasses.fields(value):
            yield from texts(getattr(value, inner.name))
    elif isinstance(value, Mapping):
        yield from texts(list(value))
        yield from texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)

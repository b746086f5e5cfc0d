"""Short pauses of the garbage collector in a program that runs for hours.

A full collection looks at every object, about a microsecond for each. What is imported, and the
entries of a long conversation, are never part of a cycle that ends: the collector sets them aside.
Objects that were set aside are still freed when nothing refers to them; only a cycle of them is
not. Widgets are such cycles, so what is set aside is what remains when many objects have been
added, and not what is there at each collection.
"""

from __future__ import annotations

import gc

_MOST = 40_000
"""Objects that collections look at. A screen has about 20,000."""


def set_aside() -> None:
    """Keep full collections off the objects that exist now, and short from now on."""
    gc.freeze()
    if _after not in gc.callbacks:
        gc.callbacks.append(_after)


def _after(phase: str, info: dict[str, int]) -> None:
    """Set objects aside when a full collection has left too many."""
    if phase == "stop" and info["generation"] == 2 and len(gc.get_objects(generation=2)) > _MOST:
        gc.freeze()

"""The garbage collector keeps its pauses short while a program's memory grows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from weakref import ref

import pytest

from voicechat.system import garbage


class _Cycle:
    """An object that refers to itself."""

    other: _Cycle


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    callbacks = list(gc.callbacks)
    gc.collect()
    garbage.set_aside()
    yield
    gc.unfreeze()
    gc.callbacks[:] = callbacks


def test_what_stays_is_looked_at_once() -> None:
    kept = [[number] for number in range(2 * garbage._MOST)]
    gc.collect()
    assert len(gc.get_objects(generation=2)) < garbage._MOST
    assert len(kept) == 2 * garbage._MOST


def test_cycles_are_still_freed() -> None:
    ended = _Cycle()
    ended.other = ended
    gone = ref(ended)
    del ended
    assert gone() is not None
    gc.collect()
    assert gone() is None


def test_objects_that_were_set_aside_are_freed_when_nothing_refers_to_them() -> None:
    kept = [_Cycle()]
    gone = ref(kept[0])
    garbage.set_aside()
    kept.clear()
    assert gone() is None


def test_it_is_set_up_once() -> None:
    garbage.set_aside()
    garbage.set_aside()
    assert gc.callbacks.count(garbage._after) == 1

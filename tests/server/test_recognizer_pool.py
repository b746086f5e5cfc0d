"""Ears shared by utterances, and what may be told of a text that still changes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedEars

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial
from voicechat.server.recognizer_pool import Growth, SharedEars, Utterance


def test_only_what_stays_is_told() -> None:
    growth = Growth()
    texts = ["set", "set up", "set a", "set a timer", "set a timer for", "set a timer for ten"]
    assert [growth.grow(text) for text in texts] == ["", "set", "", " a", " timer", " for"]
    assert growth.grow("set a timer for ten minutes", final=True) == " ten minutes"


def test_nothing_more_is_told_once_the_text_took_words_back() -> None:
    growth = Growth()
    for text in ("what is", "what is it", "what is it now"):
        growth.grow(text)
    assert growth.grow("that was it now then") == ""
    assert growth.grow("that was it", final=True) == ""


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=5), max_size=8))
def test_what_was_told_is_a_beginning_of_some_text(texts: list[list[str]]) -> None:
    growth = Growth()
    told = ""
    for words in texts:
        told += growth.grow(" ".join(words))
        assert not told or any(" ".join(words).startswith(told) for words in texts)


async def test_second_utterance_waits_and_loses_no_sound() -> None:
    ears = ScriptedEars(["one", "two"])
    shared = SharedEars(ears)
    heard: list[str] = []
    first = Utterance(shared, lambda partial: heard.append(partial.text))
    second = Utterance(shared, lambda partial: heard.append(partial.text))
    first.feed(b"aa")
    second.feed(b"bbbb")
    ears.on_partial(Partial("on", False))
    ears.gate.clear()
    finishing = asyncio.create_task(first.finish())
    await asyncio.sleep(0)
    ears.on_partial(Partial("late", False))
    second.feed(b"bb")
    ears.gate.set()
    assert await finishing == "one"
    assert await second.finish() == "two"
    assert ears.heard == [2, 6]
    assert heard == ["on"]


async def test_dropped_and_broken_utterances_give_the_ears_back() -> None:
    ears = ScriptedEars(["text"])
    shared = SharedEars(ears)
    for _ in range(2):
        dropped = Utterance(shared, lambda partial: None)
        dropped.feed(b"aa")
        dropped.drop()
    assert ears.dropped == 2
    broken = Utterance(shared, lambda partial: None)
    ears.error = ServerError("no ears")
    with pytest.raises(ServerError):
        await broken.finish()
    ears.error = None
    cancelled = Utterance(shared, lambda partial: None)
    ears.gate.clear()
    task = asyncio.create_task(cancelled.finish())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ears.gate.set()
    assert await Utterance(shared, lambda partial: None).finish() == "text"

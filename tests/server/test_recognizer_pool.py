"""Utterances that share the recognizer, and the stable words of a changing text."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedStt

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial
from voicechat.server.recognizer_pool import SharedStt, StableWords, SttUtterance


def test_only_stable_words_are_reported() -> None:
    stable = StableWords()
    texts = ["set", "set up", "set a", "set a timer", "set a timer for", "set a timer for ten"]
    assert [stable.update(text) for text in texts] == ["", "set", "", " a", " timer", " for"]
    assert stable.update("set a timer for ten minutes", final=True) == " ten minutes"


def test_nothing_is_reported_after_the_text_takes_words_back() -> None:
    stable = StableWords()
    for text in ("what is", "what is it", "what is it now"):
        stable.update(text)
    assert stable.update("that was it now then") == ""
    assert stable.update("that was it", final=True) == ""


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=5), max_size=8))
def test_reported_words_are_a_prefix_of_some_text(texts: list[list[str]]) -> None:
    stable = StableWords()
    reported = ""
    for words in texts:
        reported += stable.update(" ".join(words))
        assert not reported or any(" ".join(words).startswith(reported) for words in texts)


async def test_second_utterance_waits_and_loses_no_audio() -> None:
    stt = ScriptedStt(["one", "two"])
    shared = SharedStt(stt)
    heard: list[str] = []
    first = SttUtterance(shared, lambda partial: heard.append(partial.text))
    second = SttUtterance(shared, lambda partial: heard.append(partial.text))
    first.feed(b"aa")
    second.feed(b"bbbb")
    stt.on_partial(Partial("on", False))
    stt.gate.clear()
    finishing = asyncio.create_task(first.finish())
    await asyncio.sleep(0)
    stt.on_partial(Partial("late", False))
    second.feed(b"bb")
    stt.gate.set()
    assert await finishing == "one"
    assert await second.finish() == "two"
    assert stt.heard == [2, 6]
    assert heard == ["on"]


async def test_dropped_and_failed_utterances_release_the_stt() -> None:
    stt = ScriptedStt(["text"])
    shared = SharedStt(stt)
    for _ in range(2):
        dropped = SttUtterance(shared, lambda partial: None)
        dropped.feed(b"aa")
        dropped.drop()
    assert stt.dropped == 2
    broken = SttUtterance(shared, lambda partial: None)
    stt.error = ServerError("no stt")
    with pytest.raises(ServerError):
        await broken.finish()
    stt.error = None
    cancelled = SttUtterance(shared, lambda partial: None)
    stt.gate.clear()
    task = asyncio.create_task(cancelled.finish())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    stt.gate.set()
    assert await SttUtterance(shared, lambda partial: None).finish() == "text"

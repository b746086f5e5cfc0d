"""The built-in STT engine with its real model in its real worker process."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator

import numpy as np
import psutil
import pytest
from user_speech import spoken

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Partial
from voicechat.server.engine_worker import Worker
from voicechat.server.stt.moonshine_stt import (
    KnownRequests,
    MoonshineStt,
    MoonshineUtterance,
    bundled_model,
)
from voicechat.server.stt.word_followers import Group

RATE = 16_000


@pytest.fixture(scope="module")
async def stt() -> AsyncIterator[MoonshineStt]:
    engine = MoonshineStt(
        Worker(
            "voicechat.server.speech_engines:SpeechEngines",
            "The speech engine",
            stt=str(bundled_model()),
            voices={},
        )
    )
    await engine.open()
    yield engine
    await engine.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def said(words: str, noise: float = 30.0, rest: float = 0.2) -> bytes:
    """Return PCM16 of a user in a room."""
    sound = np.pad(spoken(words, "user", RATE), (RATE // 4, int(rest * RATE))).astype(float)
    sound += np.random.default_rng(3).normal(0, noise, len(sound))
    return sound.clip(-32768, 32767).astype("<i2").tobytes()


async def heard(stt: MoonshineStt, pcm: bytes, partials: list[Partial] | None = None) -> str:
    utterance = stt.utterance(partials.append if partials is not None else lambda partial: None)
    for at in range(0, len(pcm), 1280):
        utterance.feed(pcm[at : at + 1280])
        await asyncio.sleep(0)
    return await utterance.finish()


def plain(text: str) -> str:
    return text.lower().strip(".,?!")


async def feed_with_pauses(utterance: MoonshineUtterance, pcm: bytes) -> None:
    """Feed the sound, and wait for the text after each half second."""
    for at in range(0, len(pcm), RATE):
        utterance.feed(pcm[at : at + RATE])
        utterance.settle()
        assert utterance._settling is not None
        await utterance._settling
        utterance.resume()


async def test_a_request_is_recognized(stt: MoonshineStt) -> None:
    assert plain(await heard(stt, said("What time is it?"))) == "what time is it"


async def test_the_text_grows_and_its_committed_part_stays(stt: MoonshineStt) -> None:
    partials: list[Partial] = []
    pcm = said("Please remind me to buy milk and bread on the way home from work tomorrow.")
    utterance = stt.utterance(partials.append)
    await feed_with_pauses(utterance, pcm)
    text = await utterance.finish()
    committed = [partial.committed for partial in partials]
    assert "buy milk" in text
    assert len(set(committed)) > 2
    assert all(b.startswith(a) for a, b in itertools.pairwise(committed))
    assert all(text.startswith(part) for part in committed)
    assert all(partial.text.startswith(partial.committed) for partial in partials)


async def test_utterances_at_the_same_time_do_not_mix(stt: MoonshineStt) -> None:
    texts = ["What time is it?", "Tell me a joke.", "Flip a coin.", "How are you today?"]
    found = await asyncio.gather(*(heard(stt, said(text)) for text in texts))
    assert list(map(plain, found)) == list(map(plain, texts))


async def test_a_less_likely_text_that_is_a_request_wins(stt: MoonshineStt) -> None:
    pcm = said("Tell me a joke.")
    likely = await heard(stt, pcm)
    assert plain(likely) == "tell me a joke"
    choosy = MoonshineStt(stt._worker, KnownRequests(lambda text: text != likely, list))
    assert await heard(choosy, pcm) != likely
    never = MoonshineStt(stt._worker, KnownRequests(lambda text: False, list))
    assert await heard(never, pcm) == likely


async def test_known_pairs_of_words_are_preferred(stt: MoonshineStt) -> None:
    """The user says "flip a coin" with much noise."""
    pcm = said("Flip a coin.", noise=900)
    words = ["", "flip", "a", "coin", ""]
    pairs = [({before}, {after}) for before, after in itertools.pairwise(words)]
    known = KnownRequests(lambda text: plain(text) == "flip a coin", lambda: pairs)
    await known.load()
    assert plain(await heard(stt, pcm)) != "flip a coin"
    partials: list[Partial] = []
    assert plain(await heard(MoonshineStt(stt._worker, known), pcm, partials)) == "flip a coin"
    assert partials[-1].end_chance < 0.32, "half of a request may sound like a whole one"
    assert all(partial.end_chance == 1.0 for partial in partials[:-1])


async def test_a_request_that_was_not_understood_is_heard_again_at_other_speeds(
    stt: MoonshineStt,
) -> None:
    request = "remind me to call mother at six"
    pcm = said(f"{request}.", noise=1_800)
    words = ["", *request.split(), ""]
    pairs = [({before}, {after}) for before, after in itertools.pairwise(words)]
    known = KnownRequests(lambda text: plain(text) == request, lambda: pairs)
    await known.load()
    engine = MoonshineStt(stt._worker, known)
    partials: list[Partial] = []
    assert plain(await heard(engine, pcm, partials)) == request
    # The end of a turn is decided by partial texts.
    assert not any(plain(partial.text) == request for partial in partials)


async def test_a_request_with_an_unusual_word_becomes_a_usual_one(stt: MoonshineStt) -> None:
    pcm = said("Cancel the tea timer.", noise=100)
    assert plain(await heard(stt, pcm)) == "cancel the t timer"
    words = ["", "cancel", "the", "tea", "timer", ""]
    usual = [({before}, {after}) for before, after in itertools.pairwise(words)]
    known = KnownRequests(lambda text: text.endswith(("timer", "timer.")), lambda: usual)
    await known.load()
    assert not known.is_usual("Cancel the T timer.")
    assert known.is_usual("Cancel the tea timer.")
    engine = MoonshineStt(stt._worker, known)
    heard_text = await heard(engine, pcm)
    assert plain(heard_text) == "cancel the tea timer"
    assert not engine.is_unsure(heard_text)


async def test_an_unusual_word_that_is_not_clear_is_unsure(stt: MoonshineStt) -> None:
    words = ["", "cancel", "the", "pasta", "timer", ""]
    usual = [({before}, {after}) for before, after in itertools.pairwise(words)]
    known = KnownRequests(lambda text: "timer" in text.lower(), lambda: usual)
    await known.load()
    engine = MoonshineStt(stt._worker, known)
    unclear = await heard(engine, said("Cancel the stew timer."))
    assert plain(unclear) == "cancel the stew timer"
    assert engine.is_unsure(unclear)
    clear = await heard(engine, said("Cancel the laundry timer."))
    assert plain(clear) == "cancel the laundry timer"
    assert not engine.is_unsure(clear)


async def test_the_requests_are_prepared_without_a_start_of_the_engine(stt: MoonshineStt) -> None:
    made = threading.Event()

    def pairs() -> list[Group]:
        made.set()
        return []

    fallback = MoonshineStt(stt._worker, KnownRequests(lambda text: False, pairs))
    fallback.utterance(lambda partial: None).drop()
    assert await asyncio.to_thread(made.wait, 5)


async def test_a_pause_in_the_middle_does_not_end_the_text(stt: MoonshineStt) -> None:
    partials: list[Partial] = []
    utterance = stt.utterance(partials.append)
    utterance.feed(said("Remind me to call my mother", rest=0.5))
    utterance.settle()
    utterance.resume()
    utterance.feed(said("tomorrow at nine."))
    text = await utterance.finish()
    assert "mother" in text
    assert "tomorrow" in text.lower()


async def test_the_text_is_ready_before_the_end_of_the_pause(stt: MoonshineStt) -> None:
    known = asyncio.Event()
    utterance = stt.utterance(
        lambda partial: known.set() if plain(partial.text) == "tell me a joke" else None
    )
    utterance.feed(said("Tell me a joke."))
    utterance.settle()
    await known.wait()
    assert plain(await utterance.finish()) == "tell me a joke"


@pytest.mark.parametrize("kind", ["nothing", "silence", "hiss", "click", "tone", "hum", "long"])
async def test_sound_without_speech_has_no_text(stt: MoonshineStt, kind: str) -> None:
    time = np.arange(RATE) / RATE
    noise = np.random.default_rng(5).normal(0, 1, RATE)
    sound = {
        "nothing": np.zeros(0),
        "silence": np.zeros(RATE),
        "hiss": noise * 300,
        "click": np.where(np.arange(RATE) % 8000 < 4, 20_000, 0),
        "tone": np.sin(time * 2 * np.pi * 440) * 8000,
        "long": np.random.default_rng(7).normal(0, 3, 15 * RATE),
        "hum": np.sin(time * 2 * np.pi * 50) * 3000 + noise * 20,
    }[kind]
    assert await heard(stt, sound.astype("<i2").tobytes()) == ""


async def test_a_long_utterance_is_whole(stt: MoonshineStt) -> None:
    sentences = [
        "The train leaves the station at seven in the morning.",
        "My sister has two dogs and a very old cat.",
        "We walked along the river until it was dark.",
        "Nobody knows where the yellow bicycle went.",
        "The library closes early on Friday afternoon.",
        "Please put the large box on the kitchen table.",
        "He plays the piano better than his teacher.",
        "In winter the lake is covered with thick ice.",
    ]
    partials: list[Partial] = []
    text = await heard(stt, b"".join(said(one, rest=0.1) for one in sentences), partials)
    for word in ("station", "sister", "river", "bicycle", "library", "kitchen", "piano", "lake"):
        assert word in text
    assert all(text.startswith(partial.committed) for partial in partials)


async def test_five_minutes_of_sound_at_once_do_not_stop_the_worker(stt: MoonshineStt) -> None:
    epoch = stt._worker.epoch
    last = said("What time is it?")
    utterance = stt.utterance(lambda partial: None)
    utterance.feed(bytes(300 * RATE * 2 - len(last)) + last)
    assert plain(await utterance.finish()).endswith("what time is it")
    assert stt._worker.epoch == epoch


async def test_it_hears_the_whole_utterance_after_the_worker_was_killed(
    stt: MoonshineStt,
) -> None:
    pcm = said("What time is it?")
    utterance = stt.utterance(lambda partial: None)
    utterance.feed(pcm[: len(pcm) // 2])
    utterance.settle()
    await asyncio.sleep(0)
    assert stt._worker.pid is not None
    child = psutil.Process(stt._worker.pid)
    child.kill()
    child.wait(timeout=5)
    utterance.resume()
    utterance.feed(pcm[len(pcm) // 2 :])
    assert plain(await utterance.finish()) == "what time is it"


async def test_a_dropped_utterance_reports_nothing_and_frees_the_worker(
    stt: MoonshineStt,
) -> None:
    partials: list[Partial] = []
    utterance = stt.utterance(partials.append)
    utterance.feed(said("Tell me a joke."))
    utterance.drop()
    assert plain(await heard(stt, said("Flip a coin."))) == "flip a coin"
    assert partials == []


async def test_a_missing_model_is_reported_at_the_start() -> None:
    worker = Worker(
        "voicechat.server.speech_engines:SpeechEngines",
        "The speech engine",
        stt="/nowhere",
        voices={},
    )
    with pytest.raises(ServerError, match="The speech engine: the start failed"):
        await MoonshineStt(worker).open()


async def test_dictation_takes_the_most_likely_text_and_commits_early(stt: MoonshineStt) -> None:
    pcm = said("Tell me a joke about a very small penguin.")
    likely = await heard(stt, pcm)
    choosy = MoonshineStt(stt._worker, KnownRequests(lambda text: text != likely, list))
    partials: list[Partial] = []
    utterance = choosy.utterance(partials.append, dictation=True)
    await feed_with_pauses(utterance, pcm)
    assert plain(await utterance.finish()) == plain(likely)
    assert any(partial.committed for partial in partials)

import asyncio
from pathlib import Path

import numpy as np
import psutil
import pytest
import soxr
import tiny_sentences

from voicechat.errors import ServerError
from voicechat.server.stt.pocketsphinx_stt import PocketsphinxEars
from voicechat.server.stt.recognizer import _plausible
from voicechat.server.tts.espeak_tts import EspeakVoice

HERE = Path(__file__).parents[2] / "support"
ROOM = "57.8,3.1,-5.6,6.8,-4,-8.4,-2.3,-8.8,-0.8,0.2,1.5,1.1,-3.9"


@pytest.fixture
async def sounds():
    voice = EspeakVoice()
    await voice.open()

    async def spoken(text, noise=30):
        pcm = b"".join([piece.pcm async for piece in voice.speak(text)])
        sound = soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32), voice.rate, 16_000)
        sound = np.concatenate((np.zeros(4000), sound, np.zeros(3000)))
        sound += np.random.default_rng(3).normal(0, noise, len(sound))
        return sound.astype("<i2").tobytes()

    yield spoken
    await voice.close()


@pytest.fixture
async def ears(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made = PocketsphinxEars(tmp_path, tiny_sentences.understood, "tiny_sentences:sample")
    await made.open()
    yield made
    await made.close()


def hear(ears, pcm):
    ears.begin()
    for at in range(0, len(pcm), 1024):
        ears.feed(pcm[at : at + 1024])


async def test_a_command_is_recognised_with_partials(ears, sounds):
    partials = []
    ears.on_partial = partials.append
    hear(ears, await sounds("what time is it"))
    assert await ears.finish() == "what time is it"
    assert partials[-1].text == "what time is it"
    assert partials[-1].complete
    assert any(not partial.complete for partial in partials)


async def test_utterances_follow_each_other(ears, sounds):
    for text in ("set a timer for five minutes", "what is six times seven", "flip a coin"):
        hear(ears, await sounds(text))
        assert await ears.finish() == text


async def test_what_is_no_command_comes_from_the_stock_model(ears, sounds):
    hear(ears, await sounds("the weather in the mountains is wonderful"))
    heard = await ears.finish()
    assert "weather" in heard
    assert "mountains" in heard


async def test_noise_and_nothing_are_no_text(ears):
    hear(ears, bytes(32_000))
    assert await ears.finish() == ""
    ears.begin()
    assert await ears.finish() == ""


async def test_a_dropped_utterance_leaves_no_trace(ears, sounds):
    hear(ears, await sounds("set a timer for five minutes"))
    ears.drop()
    partials = []
    ears.on_partial = partials.append
    hear(ears, await sounds("what time is it"))
    assert await ears.finish() == "what time is it"
    assert not any("timer" in partial.text for partial in partials)
    hear(ears, await sounds("flip a coin"))
    hear(ears, await sounds("what time is it"))
    assert await ears.finish() == "what time is it"


async def test_a_killed_decoder_hears_the_utterance_again(ears, sounds):
    hear(ears, await sounds("what is six times seven"))
    victims = [psutil.Process(decoder.worker.pid) for decoder in (ears._domain, ears._stock)]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=5)
    assert await ears.finish() == "what is six times seven"


async def test_cancelling_finish_leaves_the_ears_usable(ears, sounds):
    hear(ears, await sounds("set a timer for five minutes"))
    finishing = asyncio.ensure_future(ears.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    hear(ears, await sounds("what time is it"))
    assert await ears.finish() == "what time is it"


async def test_the_text_is_ready_when_the_speaker_is_silent(ears, sounds):
    settled = asyncio.Event()
    hear(ears, await sounds("flip a coin"))
    ears.on_partial = lambda partial: settled.set() if partial.complete else None
    settled.clear()
    ears.settle()
    await settled.wait()
    assert await ears.finish() == "flip a coin"


async def test_a_speaker_who_goes_on_is_heard_whole(ears, sounds):
    sound = await sounds("what is six times seven")
    ears.begin()
    ears.feed(sound[:20_000])
    ears.settle()
    await asyncio.sleep(0)
    ears.feed(sound[20_000:30_000])
    ears.resume()
    ears.feed(sound[30_000:])
    assert await ears.finish() == "what is six times seven"


async def test_the_room_is_kept_between_runs(ears, sounds, tmp_path):
    hear(ears, await sounds("what time is it"))
    await ears.finish()
    assert _plausible((tmp_path / "room.txt").read_text())


def test_only_plausible_rooms_are_believed():
    assert _plausible(ROOM)
    for wrong in ("", "40,3", "nan" + ROOM[4:], "900" + ROOM[4:], ROOM.replace("6.8", "inf"), "x"):
        assert _plausible(wrong) == ""


async def test_ears_that_cannot_start_say_why(tmp_path):
    broken = PocketsphinxEars(tmp_path, tiny_sentences.understood, "nowhere:sample")
    with pytest.raises(ServerError, match="Speech recognition: the start failed") as caught:
        await broken.open()
    assert "nowhere" in caught.value.hint

import asyncio
from pathlib import Path

import numpy as np
import psutil
import pytest
import soxr
import tiny_sentences

from voicechat.errors import ServerError
from voicechat.server.stt.pocketsphinx_stt import PocketsphinxStt
from voicechat.server.stt.recognizer import _plausible
from voicechat.server.tts.espeak_tts import EspeakTts

HERE = Path(__file__).parents[2] / "support"
ROOM = "57.8,3.1,-5.6,6.8,-4,-8.4,-2.3,-8.8,-0.8,0.2,1.5,1.1,-3.9"


@pytest.fixture
async def sounds():
    voice = EspeakTts()
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
async def stt(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    made = PocketsphinxStt(tmp_path, tiny_sentences.understood, "tiny_sentences:sample")
    await made.open()
    yield made
    await made.close()


def hear(stt, pcm):
    stt.begin()
    for at in range(0, len(pcm), 1024):
        stt.feed(pcm[at : at + 1024])


async def test_a_command_is_recognized_with_partials(stt, sounds):
    partials = []
    stt.on_partial = partials.append
    hear(stt, await sounds("what time is it"))
    assert await stt.finish() == "what time is it"
    assert partials[-1].text == "what time is it"
    assert partials[-1].complete
    assert any(not partial.complete for partial in partials)


async def test_utterances_follow_each_other(stt, sounds):
    for text in ("set a timer for five minutes", "what is six times seven", "flip a coin"):
        hear(stt, await sounds(text))
        assert await stt.finish() == text


async def test_other_speech_comes_from_the_stock_model(stt, sounds):
    hear(stt, await sounds("the weather in the mountains is wonderful"))
    heard = await stt.finish()
    assert "weather" in heard
    assert "mountains" in heard


async def test_noise_and_silence_give_no_text(stt):
    hear(stt, bytes(32_000))
    assert await stt.finish() == ""
    stt.begin()
    assert await stt.finish() == ""


async def test_a_dropped_utterance_leaves_no_trace(stt, sounds):
    hear(stt, await sounds("set a timer for five minutes"))
    stt.drop()
    partials = []
    stt.on_partial = partials.append
    hear(stt, await sounds("what time is it"))
    assert await stt.finish() == "what time is it"
    assert not any("timer" in partial.text for partial in partials)
    hear(stt, await sounds("flip a coin"))
    hear(stt, await sounds("what time is it"))
    assert await stt.finish() == "what time is it"


async def test_a_killed_decoder_gets_the_utterance_again(stt, sounds):
    hear(stt, await sounds("what is six times seven"))
    victims = [psutil.Process(decoder.worker.pid) for decoder in (stt._domain, stt._stock)]
    for victim in victims:
        victim.kill()
    psutil.wait_procs(victims, timeout=5)
    assert await stt.finish() == "what is six times seven"


async def test_canceling_finish_leaves_the_stt_usable(stt, sounds):
    hear(stt, await sounds("set a timer for five minutes"))
    finishing = asyncio.ensure_future(stt.finish())
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    hear(stt, await sounds("what time is it"))
    assert await stt.finish() == "what time is it"


async def test_the_text_is_ready_when_the_speaker_is_silent(stt, sounds):
    settled = asyncio.Event()
    hear(stt, await sounds("flip a coin"))
    stt.on_partial = lambda partial: settled.set() if partial.complete else None
    settled.clear()
    stt.settle()
    await settled.wait()
    assert await stt.finish() == "flip a coin"


async def test_speech_after_a_pause_is_complete(stt, sounds):
    sound = await sounds("what is six times seven")
    stt.begin()
    stt.feed(sound[:20_000])
    stt.settle()
    await asyncio.sleep(0)
    stt.feed(sound[20_000:30_000])
    stt.resume()
    stt.feed(sound[30_000:])
    assert await stt.finish() == "what is six times seven"


async def test_room_acoustics_are_kept_between_runs(stt, sounds, tmp_path):
    hear(stt, await sounds("what time is it"))
    await stt.finish()
    assert _plausible((tmp_path / "room.txt").read_text())


def test_only_plausible_acoustics_are_used():
    assert _plausible(ROOM)
    for wrong in ("", "40,3", "nan" + ROOM[4:], "900" + ROOM[4:], ROOM.replace("6.8", "inf"), "x"):
        assert _plausible(wrong) == ""


async def test_stt_that_cannot_start_reports_the_reason(tmp_path):
    broken = PocketsphinxStt(tmp_path, tiny_sentences.understood, "nowhere:sample")
    with pytest.raises(ServerError, match="Speech recognition: the start failed") as caught:
        await broken.open()
    assert "nowhere" in caught.value.hint

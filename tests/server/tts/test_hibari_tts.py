"""The built-in voice with its real model in its real worker process."""

from contextlib import aclosing

import numpy as np
import psutil
import pytest
from hostile_speech import HOSTILE

from voicechat.server import response_audio
from voicechat.server.engine_worker import Worker
from voicechat.server.tts import hibari_tts
from voicechat.server.tts.hibari_tts import (
    DEFAULT_VOICE,
    RATE,
    HibariTts,
    bundled_voice,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def opened_voice():
    voices = {DEFAULT_VOICE: bundled_voice()}
    worker = Worker(
        "voicechat.server.speech_engines:SpeechEngines",
        "The speech engine",
        stt=None,
        voices={name: str(path) for name, path in voices.items()},
    )
    made = HibariTts(worker, voices)
    await made.open()
    return made


@pytest.fixture(scope="module")
async def voice():
    made = await opened_voice()
    yield made
    await made.close()


async def said(voice, text, *more, **options):
    return [piece async for piece in voice.speak(text, *more, **options)]


def samples(pieces):
    return np.frombuffer(b"".join(piece.pcm for piece in pieces), "<i2").astype(float) / 32768


async def test_the_texts_join_to_the_text_given(voice):
    for text in HOSTILE:
        assert "".join(piece.text for piece in await said(voice, text)) == text


async def test_a_lone_surrogate_is_replaced(voice):
    pieces = await said(voice, "odd \ud800 end")
    assert "".join(piece.text for piece in pieces) == "odd \ufffd end"


async def test_words_come_with_their_spaces_and_their_sound(voice):
    pieces = await said(voice, "It is half past nine.")
    assert [piece.text for piece in pieces] == ["It ", "is ", "half ", "past ", "nine."]
    assert all(0.05 < len(piece.pcm) / 2 / RATE < 1.2 for piece in pieces)


async def test_markup_is_spoken_and_not_interpreted(voice):
    plain = len(samples(await said(voice, "hello")))
    marked = len(samples(await said(voice, "<break time='9s'/> hello")))
    assert marked < plain + 5 * RATE
    assert marked > plain + RATE


async def test_the_voice_is_loud_and_never_clips(voice):
    for text in ("The quick brown fox jumps over the dog.", "No!", "Pop, bang, crash, boom!"):
        sound = samples(await said(voice, text))
        assert 0.2 < abs(sound).max() <= 0.93


async def test_an_unknown_voice_is_the_default(voice):
    pieces = await said(voice, "One two three.", "nobody")
    assert "".join(piece.text for piece in pieces) == "One two three."
    assert len(samples(pieces)) > RATE / 2


async def test_words_have_the_sound_that_a_recognizer_hears_in_them(voice):
    """The longest word takes the most time, a number takes as long as its spoken words."""
    pieces = await said(voice, "a extraordinarily $9.99 to")
    lengths = [len(piece.pcm) for piece in pieces]
    assert lengths[0] < lengths[1]
    assert lengths[2] > lengths[1] > lengths[3]


async def test_phonemes_of_words(voice):
    alarm, timer = await voice.pronounce(["alarm", "timer"])
    assert alarm.endswith("ɑɹm")
    assert timer.startswith("tˈI")


async def test_speed_shortens_speech_within_limits(voice):
    text = "Speak this sentence at several speeds."
    slow, normal, fast, silly = [
        len(samples(await said(voice, text, speed=speed))) for speed in (0.6, 1.0, 1.6, 99.0)
    ]
    assert slow > 1.3 * normal > 1.6 * fast
    assert silly > 0.2 * normal


async def test_closing_stops_synthesis_and_the_next_text_is_complete(voice):
    reference = samples(await said(voice, "fresh start", None))
    async with aclosing(voice.speak("word " * 20_000)) as pieces:
        async for _ in pieces:
            break
    again = samples(await said(voice, "fresh start", None))
    assert len(again) == pytest.approx(len(reference), rel=0.05)


async def test_it_speaks_again_after_its_worker_was_killed(voice):
    await said(voice, "one")
    child = psutil.Process(voice._worker.pid)
    child.kill()
    child.wait(timeout=5)
    await voice._worker.stop()
    assert "".join(piece.text for piece in await said(voice, "two words")) == "two words"


async def test_a_new_worker_speaks_the_rest_of_a_clause_after_a_crash(voice):
    text = "seven eight nine"
    whole = [len(piece.pcm) for piece in await said(voice, text)]
    pieces = []
    async with aclosing(voice.speak(text)) as spoken:
        async for piece in spoken:
            if not pieces:
                voice._worker._kill()
            pieces.append(piece)
    assert "".join(piece.text for piece in pieces) == text
    assert sum(len(piece.pcm) for piece in pieces) > 0.7 * sum(whole)


async def test_a_clause_with_many_phonemes_is_spoken_to_its_end(voice):
    few = samples(await said(voice, "$1,234,567.89 " * 2))
    many = samples(await said(voice, "$1,234,567.89 " * 16))
    assert len(many) > 6 * len(few)
    assert np.abs(many[-2 * RATE :]).max() > 0.1


@pytest.mark.parametrize(
    "text",
    ["\N{CIRCLED DIGIT ONE}a", "PM\N{SUBSCRIPT TWO}.\N{SUBSCRIPT FIVE}", "9" * 60, "$" + "9," * 60],
)
async def test_every_digit_can_be_spoken(voice, text):
    pieces = await said(voice, text)
    assert "".join(piece.text for piece in pieces) == text
    assert len(samples(pieces)) > RATE // 4


async def test_a_worker_that_hangs_is_replaced():
    assert max(hibari_tts._DEADLINE_S, hibari_tts._KOKORO_DEADLINE_S) < response_audio._WORD_SECONDS
    voice = await opened_voice()
    voice._deadlines[DEFAULT_VOICE] = 1.0
    psutil.Process(voice._worker.pid).suspend()
    assert "".join(piece.text for piece in await said(voice, "two words")) == "two words"
    await voice.close()

from contextlib import aclosing

import numpy as np
import psutil
import pytest

from voicechat.providers.catalog import LOCAL
from voicechat.server.tts.espeak_tts import RATE, VOICES, EspeakTts, clauses


@pytest.fixture
async def voice():
    made = EspeakTts()
    await made.open()
    yield made
    await made.close()


async def said(voice, text, *more, **options):
    return [piece async for piece in voice.speak(text, *more, **options)]


def samples(pieces):
    return np.frombuffer(b"".join(piece.pcm for piece in pieces), "<i2").astype(float) / 32768


def brightness(sound):
    spectrum = abs(np.fft.rfft(sound))
    return float(np.sum(spectrum * np.arange(len(spectrum))) / np.sum(spectrum) / len(spectrum))


HOSTILE = [
    "",
    "   ",
    "\n",
    "Hello there, world.",
    "<speak><break time='10s'/>hello</speak>",
    "[[h@l'oU]] and &lt; and \x01 50r fast \x01 +10v loud",
    "bell \a null \0 escape \x1b[31m red",
    "1,234,567 apples (ok)!",
    "naïve café — Ünïcode 😀 emoji, \N{RIGHT-TO-LEFT OVERRIDE}backwards",
    "no spaces " + "x" * 700,
    "一二三 четыре five",
    "Dr. Smith lives at 221B. " * 30,
]


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
    quiet = samples(await said(voice, "\x01 0A hello"))
    assert abs(quiet).max() > 0.2


async def test_every_voice_is_about_as_loud_and_never_clips(voice):
    levels = {}
    for name in voice.names:
        sound = samples(await said(voice, "The quick brown fox jumps over the dog.", name))
        assert abs(sound).max() <= 0.93
        levels[name] = np.sqrt(np.mean(sound[abs(sound) > 0.01] ** 2))
    assert set(levels) == set(VOICES)
    assert max(levels.values()) < 1.5 * min(levels.values())


async def test_voices_differ_and_an_unknown_one_is_the_default(voice):
    text = "One two three."
    default, unknown, wren = [
        brightness(samples(await said(voice, text, name))) for name in (None, "nobody", "wren")
    ]
    assert default == pytest.approx(unknown, rel=0.05)
    assert default != pytest.approx(wren, rel=0.05)


def test_the_catalog_lists_the_voices():
    assert LOCAL.voices == EspeakTts.names


async def test_speed_shortens_speech_within_limits(voice):
    text = "Speak this sentence at several speeds."
    slow, normal, fast, silly = [
        len(samples(await said(voice, text, speed=speed))) for speed in (0.6, 1.0, 1.6, 99.0)
    ]
    assert slow > 1.3 * normal > 1.6 * fast
    assert silly > 0.2 * normal


async def test_closing_stops_synthesis_and_the_next_text_is_complete(voice):
    reference = samples(await said(voice, "fresh start", "heron"))
    async with aclosing(voice.speak("word " * 20_000)) as pieces:
        async for _ in pieces:
            break
    again = samples(await said(voice, "fresh start", "heron"))
    assert len(again) == pytest.approx(len(reference), rel=0.05)


async def test_it_speaks_again_after_its_worker_was_killed(voice):
    await said(voice, "one")
    child = psutil.Process(voice._worker.pid)
    child.kill()
    child.wait(timeout=5)
    await voice._worker.stop()
    assert "".join(piece.text for piece in await said(voice, "two words")) == "two words"


def test_clauses_join_to_the_text_and_stay_short():
    for text in HOSTILE:
        parts = clauses(text)
        assert "".join(parts) == text
        assert all(0 < len(part) <= 240 for part in parts)
    assert clauses("One. Two? Three") == ["One. ", "Two? ", "Three"]

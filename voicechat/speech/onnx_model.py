"""Small ONNX models of the speech detectors: one thread, no spinning, no memory arena."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def load_onnx(path: Path, inputs: Iterable[str]) -> InferenceSession:
    """Load a model that has these inputs.

    Raises `ImportError` without ONNX Runtime, `RuntimeError` when the file cannot be used.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # the exceptions of ONNX Runtime share no class of their own
        raise RuntimeError(f"{path.name} cannot be loaded: {error}") from error
    if {each.name for each in session.get_inputs()} != set(inputs):
        raise RuntimeError(f"{path.name} is another model")
    return session

"""ONNX models on ONNX Runtime: one thread, no spinning, no memory arena and no telemetry.

Speech shares two cores with sound and screen; an arena keeps 100 MB after a long sentence. Recent
versions of the runtime send facts about the machine to its maker, unless the environment forbids
it before they are imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def onnx_session(model: str | bytes) -> InferenceSession:
    """Load a model from a path or from its bytes.

    Raises `ImportError` without ONNX Runtime, or an exception of ONNX Runtime.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # It keeps the bytes that it was loaded from, for providers that are replaced later.
    vars(session)["_model_bytes"] = None
    return session


def load_onnx(path: Path, inputs: Iterable[str]) -> InferenceSession:
    """Load a model that has these inputs.

    Raises `ImportError` without ONNX Runtime, `RuntimeError` when the file cannot be used.
    """
    try:
        session = onnx_session(path.read_bytes())
    except ImportError:
        raise
    except Exception as error:  # the exceptions of ONNX Runtime share no class of their own
        raise RuntimeError(f"{path.name} cannot be loaded: {error}") from error
    if {each.name for each in session.get_inputs()} != set(inputs):
        raise RuntimeError(f"{path.name} is another model")
    return session

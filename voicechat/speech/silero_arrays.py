"""Silero VAD on numpy, for many windows at once: no runtime, 2 MB of memory.

The network of `silero_vad.onnx` 6 for 16 kHz: magnitudes of a short-time Fourier transform, four
convolutions, an LSTM and one neuron. Only the LSTM takes the windows one after the other.
Source: https://github.com/snakers4/silero-vad (MIT), the graph of that file.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from voicechat.speech.onnx_constants import Tensor, float_constants

_PLACE = "then_branch__Inline_0__"
"""Before the names of the tensors for 16 kHz."""
WINDOW = 512
_CONTEXT = 64
"""Samples of the window before that precede each window, and samples that are added after it."""
_FRAME, _HOP, _BINS = 256, 128, 129
_STRIDES = (1, 2, 2, 1)
_UNITS = 128
_SLOPES = np.repeat(np.array([0.5, 0.5, 1, 0.5], np.float32), _UNITS)
"""Factors with which tanh stands for the sigmoid of the gates: it is (tanh(x / 2) + 1) / 2."""


class SileroArrays:
    """Silero VAD for one stream of sound.

    model: `silero_vad.onnx` of silero-vad 6. Raises `RuntimeError` when it is another file.
    """

    def __init__(self, model: Path) -> None:
        try:
            found = {
                name.partition(_PLACE)[2]: tensor
                for name, tensor in float_constants(model.read_bytes()).items()
                if _PLACE in name
            }
            self._basis = found["stft.forward_basis_buffer"].reshape(2 * _BINS, _FRAME).T.copy()
            self._layers = [
                (_as_matrix(found[f"{layer}.weight"]), found[f"{layer}.bias"], stride)
                for layer, stride in zip(
                    (f"encoder.{number}.reparam_conv" for number in range(4)),
                    _STRIDES,
                    strict=True,
                )
            ]
            self._of_input = (found["decoder.rnn.weight_ih"] * _SLOPES[:, None]).T.copy()
            self._of_state = found["decoder.rnn.weight_hh"] * _SLOPES[:, None]
            self._bias = (found["decoder.rnn.bias_ih"] + found["decoder.rnn.bias_hh"]) * _SLOPES
            self._neuron = found["decoder.decoder.2.weight"].reshape(_UNITS)
            self._threshold = float(found["decoder.decoder.2.bias"][0])
        except (OSError, KeyError, ValueError, IndexError) as error:
            raise RuntimeError(f"{model.name} cannot be loaded: {error}") from error
        self._begin()

    def _begin(self) -> None:
        self._context = np.zeros(_CONTEXT, np.float32)
        self._output = self._cell = np.zeros(_UNITS, np.float32)

    def stream(self) -> SileroArrays:
        """Return a detector for another stream, with the same weights."""
        other = copy(self)
        other._begin()
        return other

    def probabilities(self, pcm: bytes) -> list[float]:
        """Return how likely each window is speech, 0 to 1.

        pcm: the next whole windows of 512 samples, PCM16 mono at 16 kHz.
        """
        sound = np.frombuffer(pcm, "<i2") * np.float32(1 / 32768)
        if not sound.size:
            return []
        sound = np.concatenate((self._context, sound))
        self._context = sound[-_CONTEXT:]
        windows = sliding_window_view(sound, _CONTEXT + WINDOW)[::WINDOW]
        outputs = self._recur(self._encode(windows) @ self._of_input + self._bias)
        scores = np.maximum(outputs, 0) @ self._neuron + self._threshold
        found: list[float] = (0.5 * np.tanh(0.5 * scores) + 0.5).tolist()
        return found

    def _encode(self, windows: Tensor) -> Tensor:
        """Return the features of each window, (windows, units)."""
        # The end is reflected, without its last sample.
        whole = np.concatenate((windows, windows[:, -2 : -_CONTEXT - 2 : -1]), axis=1)
        parts = sliding_window_view(whole, _FRAME, axis=1)[:, ::_HOP]
        count, frames, _ = parts.shape
        waves = parts.reshape(-1, _FRAME) @ self._basis
        waves *= waves
        values = np.sqrt(waves[:, :_BINS] + waves[:, _BINS:])
        for weight, bias, stride in self._layers:
            padded = np.zeros((count, frames + 2, values.shape[1]), np.float32)
            padded[:, 1:-1] = values.reshape(count, frames, -1)
            flat = padded.reshape(count, -1)
            taken = sliding_window_view(flat, len(weight), axis=1)[:, :: stride * values.shape[1]]
            frames = taken.shape[1]
            values = taken.reshape(-1, len(weight)) @ weight
            values += bias
            np.maximum(values, 0, out=values)
        return values

    def _recur(self, gates: Tensor) -> Tensor:
        """Run the LSTM; gates: what the input adds to each. Return (windows, units)."""
        outputs = np.empty((len(gates), _UNITS), np.float32)
        output, cell = self._output, self._cell
        for at, given in enumerate(gates):
            let_in, keep, new, out = np.tanh(given + self._of_state @ output).reshape(4, _UNITS)
            cell = 0.5 * ((keep + 1) * cell + (let_in + 1) * new)
            output = outputs[at] = 0.5 * (out + 1) * np.tanh(cell)
        self._output, self._cell = output, cell
        return outputs


def _as_matrix(weight: Tensor) -> Tensor:
    """Return a convolution of three frames as a matrix: (3 x inputs, outputs)."""
    return weight.transpose(2, 1, 0).reshape(-1, weight.shape[0]).copy()

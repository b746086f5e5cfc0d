"""Moonshine, a speech recognition model for whole utterances, on ONNX Runtime.

The encoder takes the sound of an utterance, the decoder writes tokens from it. The call is cheap
enough to repeat while the utterance grows: the tokens of the last call are a draft that one pass of
the decoder verifies.

Source: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands"
(2024), and the input and output names of the model files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.onnx_model import onnx_session
from voicechat.speech.vad import VAD_RATE

FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
"""The files in the folder of a model."""
_START, _END = 1, 2
_SPARE_TOKENS = 4
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"

BEAMS = 6
"""Sequences that `MoonshineModel.alternatives` keeps."""
_GROWS = ".decoder."
"""Part of the names of the cache tensors that grow with each token."""

Sound = NDArray[np.float32]
Feed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Features:
    """What the encoder hears in a sound: inputs of the decoder, and the most tokens of its text."""

    feed: Feed
    most: int


class MoonshineModel:
    """One loaded model. About 90 MB of memory.

    tokens_per_second: most tokens for a second of sound. The model repeats itself on noise;
    speech has fewer tokens: up to 6.5 in languages with the Latin alphabet, up to 13 in others.
    """

    def __init__(self, folder: Path, tokens_per_second: float = 6.5) -> None:
        """Load the files of a model. Raises OSError or an exception of onnxruntime."""
        self._tokens_per_second = tokens_per_second
        encoder, decoder, tokenizer = (folder / name for name in FILES)
        self._tokens = read_tokens(tokenizer.read_bytes())
        self._encoder = onnx_session(str(encoder))
        self._decoder = onnx_session(str(decoder))
        sessions = (self._encoder, self._decoder)
        self._inputs = {put.name for session in sessions for put in session.get_inputs()}
        self._cache = {
            put.name: np.zeros((0, put.shape[1], 1, put.shape[3]), np.float32)
            for put in self._decoder.get_inputs()
            if put.name.startswith("past")
        }

    def encode(self, sound: Sound) -> Features:
        """Return the features of the sound, float32 mono at 16 kHz."""
        mask = np.ones((1, len(sound)), np.int64)
        heard = {"input_values": sound[None], "attention_mask": mask}
        hidden = self._encoder.run(None, self._known(heard))[0]
        most = int(len(sound) / VAD_RATE * self._tokens_per_second) + _SPARE_TOKENS
        return Features(
            self._known({"encoder_attention_mask": mask, "encoder_hidden_states": hidden}), most
        )

    def transcribe(
        self,
        features: Features,
        draft: Sequence[int] = (),
        fixed: int = 0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[int]:
        """Return the most likely tokens.

        draft: tokens that are probably right, from a call with less sound.
        fixed: the number of tokens at the start of the draft that the result keeps.
        cancelled: checked before each token; when it returns True, the result is incomplete.
        """
        logits, cache = self._step([[_START, *draft]], features.feed, self._cache, first=True)
        best = logits[0].argmax(-1)
        kept = _agreed(best, draft, fixed)
        tokens, token = list(draft[:kept]), int(best[kept])
        cache = {
            name: value[:, :, : kept + 1] if _GROWS in name else value
            for name, value in cache.items()
        }
        while token != _END and len(tokens) < features.most and not cancelled():
            tokens.append(token)
            logits, grown = self._step([[token]], features.feed, cache, first=False)
            cache |= {name: value for name, value in grown.items() if _GROWS in name}
            token = int(logits[0, -1].argmax())
        return tokens

    def alternatives(
        self,
        features: Features,
        fixed: Sequence[int] = (),
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[tuple[float, list[int]]]:
        """Return the most likely token sequences with their log probabilities, the best first.

        fixed: tokens that every sequence begins with.
        """
        logits, cache = self._step([[_START, *fixed]], features.feed, self._cache, first=True)
        constant = {name: value for name, value in cache.items() if _GROWS not in name}
        grown = {name: value for name, value in cache.items() if _GROWS in name}
        beams: list[tuple[float, list[int]]] = [(0.0, [])]
        found: list[tuple[float, list[int]]] = []
        while beams and len(fixed) + len(beams[0][1]) < features.most and not cancelled():
            beams, rows = _best(beams, logits[:, -1], found)
            if len(found) >= BEAMS or not beams:
                break
            batch = len(beams)
            logits, cache = self._step(
                [[tokens[-1]] for _, tokens in beams],
                {name: np.repeat(value, batch, 0) for name, value in features.feed.items()},
                {name: np.repeat(value, batch, 0) for name, value in constant.items()}
                | {name: value[rows] for name, value in grown.items()},
                first=False,
            )
            grown = {name: value for name, value in cache.items() if _GROWS in name}
        return sorted(((score, [*fixed, *tokens]) for score, tokens in found), reverse=True)

    def _step(
        self, ids: list[list[int]], feed: Feed, cache: Feed, *, first: bool
    ) -> tuple[NDArray[np.float32], Feed]:
        """Run the decoder on a batch; return the logits after each id, and the grown cache."""
        logits, *grown = self._decoder.run(
            None,
            {**feed, "input_ids": np.array(ids), "use_cache_branch": np.array([not first])} | cache,
        )
        return logits, dict(zip(self._cache, grown, strict=True))

    def _known(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs that the model has: older models have no masks."""
        return {name: value for name, value in feed.items() if name in self._inputs}

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without spaces around it."""
        pieces = b"".join(self._tokens[token] for token in tokens if token > _END)
        return pieces.decode("utf-8", "replace").replace(_SPACE, " ").strip()

    def begins_word(self, token: int) -> bool:
        """Return True if a new word begins with this token."""
        return self._tokens[token].startswith(_SPACE.encode())


def read_tokens(content: bytes) -> list[bytes]:
    """Return the texts of all tokens: a list of length-prefixed byte strings.

    A length of 128 or more takes two bytes, the low seven bits first.
    """
    tokens: list[bytes] = []
    at = 0
    while at < len(content):
        size = content[at]
        at += 1
        if size >= 128:
            size += (content[at] - 1) * 128
            at += 1
        tokens.append(content[at : at + size])
        at += size
    return tokens


def _best(
    beams: list[tuple[float, list[int]]],
    logits: NDArray[np.float32],
    found: list[tuple[float, list[int]]],
) -> tuple[list[tuple[float, list[int]]], list[int]]:
    """Return the best continuations and the row of each; move complete ones to `found`."""
    shifted = logits - logits.max(-1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    likely = np.argpartition(-scores, BEAMS, axis=-1)[:, :BEAMS]
    grown = sorted(
        (
            (score + float(scores[row, token]), row, int(token))
            for row, (score, _) in enumerate(beams)
            for token in likely[row]
        ),
        reverse=True,
    )[:BEAMS]
    found += [(score, beams[row][1]) for score, row, token in grown if token == _END]
    open_ones = [(score, row, token) for score, row, token in grown if token != _END]
    return (
        [(score, [*beams[row][1], token]) for score, row, token in open_ones],
        [row for _, row, _ in open_ones],
    )


def _agreed(best: NDArray[np.int64], draft: Sequence[int], fixed: int) -> int:
    """Return how many tokens of the draft the model confirms, at least `fixed`."""
    kept = fixed
    while kept < len(draft) and int(best[kept]) == draft[kept]:
        kept += 1
    return kept

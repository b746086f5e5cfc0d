"""Moonshine, a speech recognition model for whole utterances, on ONNX Runtime.

The encoder takes the sound of an utterance, the decoder writes tokens from it. The call is cheap
enough to repeat while the utterance grows: the tokens of the last call are a draft that one pass of
the decoder verifies.

Source: Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands"
(2024), and the input and output names of the model files.
"""

from __future__ import annotations

from array import array
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
START, END = 1, 2
"""Tokens at the start and the end of a text."""
_SPARE_TOKENS = 4
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"

_GROWS = ".decoder."
"""Part of the names of the cache tensors that grow with each token."""

Sound = NDArray[np.float32]
Feed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Features:
    """The encoded sound: inputs of the decoder, and the most tokens of the text."""

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
        self._tokens = TokenTexts(tokenizer.read_bytes())
        # The larger one first: to load it takes three times its memory for a moment.
        self._decoder = onnx_session(str(decoder))
        self._encoder = onnx_session(str(encoder))
        sessions = (self._encoder, self._decoder)
        self._inputs = {put.name for session in sessions for put in session.get_inputs()}
        self.empty_cache = {
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
        logits, cache = self.step([[START, *draft]], features.feed, self.empty_cache, first=True)
        best = logits[0].argmax(-1)
        kept = _agreed(best, draft, fixed)
        tokens, token = list(draft[:kept]), int(best[kept])
        cache = {
            name: value[:, :, : kept + 1] if _GROWS in name else value
            for name, value in cache.items()
        }
        while token != END and len(tokens) < features.most and not cancelled():
            tokens.append(token)
            logits, grown = self.step([[token]], features.feed, cache, first=False)
            cache |= {name: value for name, value in grown.items() if _GROWS in name}
            token = int(logits[0, -1].argmax())
        return tokens

    def beam_decoder(self, features: Features, fixed: Sequence[int]) -> BeamDecoder:
        """Return a decoder of several texts at once, all of which begin with the fixed tokens."""
        return BeamDecoder(self, features, fixed)

    def step(
        self, ids: list[list[int]], feed: Feed, cache: Feed, *, first: bool
    ) -> tuple[NDArray[np.float32], Feed]:
        """Run the decoder on a batch; return the logits after each id, and the grown cache."""
        logits, *grown = self._decoder.run(
            None,
            {**feed, "input_ids": np.array(ids), "use_cache_branch": np.array([not first])} | cache,
        )
        return logits, dict(zip(self.empty_cache, grown, strict=True))

    def _known(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Return the inputs that the model has: older models have no masks."""
        return {name: value for name, value in feed.items() if name in self._inputs}

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without spaces around it."""
        pieces = b"".join(self._tokens.text(token) for token in tokens if token > END)
        return pieces.decode("utf-8", "replace").replace(_SPACE, " ").strip()

    def token_text(self, token: int) -> str:
        """Return the text of one token, with the space before it."""
        return self._tokens.text(token).decode("utf-8", "replace").replace(_SPACE, " ")

    def begins_word(self, token: int) -> bool:
        """Return True if a new word begins with this token."""
        return self._tokens.text(token).startswith(_SPACE.encode())


class BeamDecoder:
    """Decodes texts of one sound in parallel, a token at a time."""

    def __init__(self, model: MoonshineModel, features: Features, fixed: Sequence[int]) -> None:
        self._model = model
        self._features = features
        self._fixed = list(fixed)
        self._constant: Feed = {}
        self._grown: Feed = {}

    def step(self, last: Sequence[Sequence[int]], rows: list[int]) -> NDArray[np.float32]:
        """Return the log probability of each next token, (texts, tokens).

        last: the newest token of each text; the first call takes one text without a token.
        rows: the text of the previous call that each one continues.
        """
        if not self._grown:
            ids = [[START, *self._fixed]]
            logits, cache = self._model.step(
                ids, self._features.feed, self._model.empty_cache, first=True
            )
            self._constant = {name: cache[name] for name in cache if _GROWS not in name}
        else:
            count = len(rows)
            feed, constant = (
                {name: np.repeat(value, count, 0) for name, value in values.items()}
                for values in (self._features.feed, self._constant)
            )
            grown = {name: value[rows] for name, value in self._grown.items()}
            logits, cache = self._model.step(
                [list(ids) for ids in last], feed, constant | grown, first=False
            )
        self._grown = {name: cache[name] for name in cache if _GROWS in name}
        newest = logits[:, -1]
        shifted = newest - newest.max(-1, keepdims=True)
        scores: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        return scores


class TokenTexts:
    """The texts of all tokens, in the bytes of their file: a list of length-prefixed strings.

    A length of 128 or more takes two bytes, the low seven bits first.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._starts, self._ends = array("I"), array("I")
        at = 0
        while at < len(content):
            size = content[at]
            at += 1
            if size >= 128:
                size += (content[at] - 1) * 128
                at += 1
            self._starts.append(at)
            at += size
            self._ends.append(at)

    def __len__(self) -> int:
        return len(self._starts)

    def text(self, token: int) -> bytes:
        """Return the text of a token. Raises `IndexError` for an unknown one."""
        return self._content[self._starts[token] : self._ends[token]]


def _agreed(best: NDArray[np.int64], draft: Sequence[int], fixed: int) -> int:
    """Return how many tokens of the draft the model confirms, at least `fixed`."""
    kept = fixed
    while kept < len(draft) and int(best[kept]) == draft[kept]:
        kept += 1
    return kept

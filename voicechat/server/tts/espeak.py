"""espeak-ng by ctypes: text to sound, with the position of every word. Runs in a worker process.

The library is GPLv3: only this module loads it, and only the worker process imports this module.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import espeakng_loader
import numpy as np
import soxr

from voicechat.server.engine_worker_main import Job

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_CHARACTER_POSITION = 1
_RATE, _PITCH = 1, 3
_WORD = 1
_BUFFER_MS = 20
_NORMAL_WORDS_PER_MINUTE = 165
_LOUDNESS = 0.11
_CEILING = 0.92
_KNEE = 0.6
_GAIN_LIMIT = 4.0
_SAMPLE_PHRASE = "The quick brown fox jumps over the lazy dog."


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h. `sample` counts from the start of the text."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
Sound = np.ndarray[Any, np.dtype[np.float32]]
Marks = list[tuple[int, int]]


class Espeak:
    """The initialized library. Only one instance per process, because its state is global."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        path = espeakng_loader.get_data_path().encode()
        self.rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, path, _DONT_EXIT)
        if self.rate <= 0:
            raise OSError("espeak-ng found no voice files")
        self._on_sound: Callable[[bytes, Marks], bool] = lambda _pcm, _marks: True
        self._callback = _Callback(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)
        self._chosen: tuple[object, ...] = ()

    def choose(self, voice: str, words_per_minute: int, pitch: int) -> None:
        """Set the voice ("en-us+klatt3"), its speed and its pitch (0 to 100)."""
        wanted = (voice, words_per_minute, pitch)
        if wanted == self._chosen:
            return
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._chosen = wanted

    def say(self, text: str, on_sound: Callable[[bytes, Marks], bool]) -> None:
        """Synthesize; block until done or until `on_sound` returns False.

        on_sound: called with PCM16 mono at `rate` and the words that started since the last call,
        as (index into text, sample since the start).
        """
        self._on_sound = on_sound
        spoken = _spoken(text).encode() + b"\0"
        self._library.espeak_Synth(
            spoken, len(spoken), 0, _CHARACTER_POSITION, 0, _CHARS_UTF8, None, None
        )

    def _hear(self, wave: Any, count: int, events: Any) -> int:
        marks = []
        index = 0
        while events[index].type:
            event = events[index]
            if event.type == _WORD:
                marks.append((max(0, event.text_position - 1), event.sample))
            index += 1
        pcm = ctypes.string_at(wave, count * 2) if wave and count > 0 else b""
        return 0 if self._on_sound(pcm, marks) else 1


def _spoken(text: str) -> str:
    """Replace the characters that espeak-ng takes as commands; the length stays the same."""
    return "".join(
        " " if not letter.isprintable() or letter.isspace() else letter for letter in text
    )


class Synthesizer:
    """The engine of the worker: `speak` yields (text, pcm) word by word at `rate` Hz.

    voices: display name -> (espeak-ng voice, pitch 0 to 100).
    """

    def __init__(self, rate: int, voices: dict[str, tuple[str, int]]) -> None:
        self._espeak = Espeak()
        self._rate = rate
        self._voices = voices
        self._gains: dict[str, float] = {}
        self._gain(next(iter(voices)))

    def speak(self, job: Job, text: str, voice: str, speed: float) -> None:
        """Emit [text, pcm] per word; the joined texts are `text`. Stops when `job` is canceled."""
        gain = self._gain(voice)
        self._choose(voice, speed)
        words = _Words(text, self._rate / self._espeak.rate)
        stream = soxr.ResampleStream(self._espeak.rate, self._rate, 1, "float32", "MQ")

        def on_sound(pcm: bytes, marks: Marks) -> bool:
            if job.cancelled:
                return False
            words.mark(marks)
            sound = np.frombuffer(pcm, np.int16).astype(np.float32) * (gain / 32768)
            words.add(stream.resample_chunk(sound))
            for piece in words.ready():
                job.send_item(piece)
            return True

        self._espeak.say(text, on_sound)
        if not job.cancelled:
            words.add(stream.resample_chunk(np.zeros(0, np.float32), last=True))
            for piece in words.rest():
                job.send_item(piece)

    def _choose(self, voice: str, speed: float) -> None:
        name, pitch = self._voices[voice]
        self._espeak.choose(name, round(_NORMAL_WORDS_PER_MINUTE * speed), pitch)

    def _gain(self, voice: str) -> float:
        """Return the gain for the common loudness. Measured once per voice."""
        if voice not in self._gains:
            heard = bytearray()
            self._choose(voice, 1.0)

            def on_sound(pcm: bytes, _marks: Marks) -> bool:
                heard.extend(pcm)
                return True

            self._espeak.say(_SAMPLE_PHRASE, on_sound)
            sound = np.frombuffer(bytes(heard), np.int16).astype(np.float32) / 32768
            voiced = sound[np.abs(sound) > 0.01]
            level = float(np.sqrt(np.mean(voiced**2))) if voiced.size else 1.0
            self._gains[voice] = min(_GAIN_LIMIT, _LOUDNESS / level)
        return self._gains[voice]


class _Words:
    """Splits sound at word starts. Text before the first word and after the last goes with them."""

    def __init__(self, text: str, ratio: float) -> None:
        self._text = text
        self._ratio = ratio
        self._marks: Marks = []
        self._sound = np.zeros(0, np.float32)
        self._text_given = 0
        self._sound_given = 0

    def mark(self, marks: Marks) -> None:
        """Record word starts: (index into the text, sample before resampling).

        A mark inside a word, or after an opening quote, counts from the first letter of the word.
        """
        for index, sample in marks:
            last = self._marks[-1][0] if self._marks else -1
            while 0 < index <= len(self._text) and not self._text[index - 1].isspace():
                index -= 1
            if last < index < len(self._text):
                self._marks.append((index, round(sample * self._ratio)))

    def add(self, sound: Sound) -> None:
        """Append samples of about -1 to 1; peaks are compressed below full scale."""
        self._sound = np.concatenate((self._sound, _limit(sound)))

    def ready(self) -> Iterator[tuple[str, bytes]]:
        """Return the words with complete sound, because the next one has started."""
        while len(self._marks) > 1 and self._marks[1][1] <= self._sound_given + len(self._sound):
            self._marks.pop(0)
            index, sample = self._marks[0]
            yield self._cut(index, sample - self._sound_given)

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """Return the rest."""
        if self._text_given < len(self._text) or len(self._sound):
            yield self._cut(len(self._text), len(self._sound))

    def _cut(self, index: int, samples: int) -> tuple[str, bytes]:
        text = self._text[self._text_given : index]
        samples = max(0, samples)
        pcm = (self._sound[:samples] * 32767).astype("<i2").tobytes()
        self._sound = self._sound[samples:]
        self._text_given = index
        self._sound_given += samples
        return text, pcm


def _limit(sound: Sound) -> Sound:
    """Compress samples above the knee towards the ceiling."""
    size = np.abs(sound)
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh(np.maximum(size - _KNEE, 0) / room)
    return np.asarray(np.where(size <= _KNEE, sound, np.sign(sound) * bent), np.float32)

"""The uncommitted input audio of one connection. Its clock counts the milliseconds appended."""

from __future__ import annotations

from voicechat.server.realtime.server_frames import WireError
from voicechat.speech.formats import Format

APPEND_BYTES = 15 * 1024 * 1024
"""Maximum size of the audio in one append event."""
BUFFER_MS = 60_000.0
"""Maximum uncommitted audio without turn detection; more is dropped."""
COMMIT_MS = 100.0
"""Minimum audio for a commit."""


class InputBuffer:
    """Uncommitted audio in order, in whole samples."""

    def __init__(self, form: Format) -> None:
        self.format = form
        self.clock_ms = 0.0
        """Milliseconds of audio appended so far."""
        self._audio = bytearray()
        self._half_sample = b""
        self._full = False

    def __len__(self) -> int:
        return len(self._audio)

    def append(self, sound: bytes, bounded: bool) -> tuple[bytes, bool]:
        """Append audio.

        Returns the accepted audio, and True when the limit is hit for the first time.
        """
        if len(sound) > APPEND_BYTES:
            raise WireError(
                "invalid_value", "Audio of one event must be no larger than 15 MiB.", "audio"
            )
        # An event may end in the middle of a sample.
        sound = self._half_sample + sound
        whole = len(sound) - len(sound) % self.format.width
        sound, self._half_sample = sound[:whole], sound[whole:]
        overflow = False
        if bounded:
            space = max(self.format.size(BUFFER_MS) - len(self._audio), 0)
            overflow = len(sound) > space and not self._full
            self._full = self._full or overflow
            sound = sound[:space]
        self._audio += sound
        self.clock_ms += self.format.ms(len(sound))
        return sound, overflow

    def trim(self, before_ms: float) -> None:
        """Drop the audio before this time on the input clock."""
        start_ms = self.clock_ms - self.format.ms(len(self._audio))
        del self._audio[: self.format.size(max(before_ms - start_ms, 0.0))]

    def cut(self, until_ms: float) -> bytearray:
        """Remove and return the audio up to this time on the input clock."""
        size = max(len(self._audio) - self.format.size(self.clock_ms - until_ms), 0)
        sound = self._audio[:size]
        del self._audio[:size]
        self._full = False
        return sound

    def check_commit(self) -> None:
        """Raise the error of the service if there is too little audio to commit."""
        length_ms = self.format.ms(len(self._audio))
        if length_ms < COMMIT_MS:
            raise WireError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms "
                f"of audio, but buffer only has {length_ms:.2f}ms of audio.",
            )

    def clear(self, form: Format | None = None) -> None:
        """Drop all audio. Change to the format `form`, if given."""
        self._audio.clear()
        self._half_sample = b""
        self._full = False
        self.format = form or self.format

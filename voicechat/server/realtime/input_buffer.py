"""The uncommitted sound of one connection, on a clock of its own: milliseconds appended so far."""

from __future__ import annotations

from voicechat.server.realtime.server_frames import WireError
from voicechat.speech.formats import Format

APPEND_BYTES = 15 * 1024 * 1024
"""The most sound in one append."""
BUFFER_MS = 60_000.0
"""The most uncommitted sound of a client that ends its turns itself; more is refused."""
COMMIT_MS = 100.0
"""The least sound that makes an item."""


class InputBuffer:
    """Whole samples in the order they came."""

    def __init__(self) -> None:
        self.format = Format()
        self.clock_ms = 0.0
        """Milliseconds of sound appended so far."""
        self._held = bytearray()
        self._odd = b""
        self._full = False

    def __len__(self) -> int:
        return len(self._held)

    def append(self, sound: bytes, bounded: bool) -> tuple[bytes, bool]:
        """Take sound in; gives what was taken, and whether the bound was hit for the first time."""
        if len(sound) > APPEND_BYTES:
            raise WireError(
                "invalid_value", "Audio of one event must be no larger than 15 MiB.", "audio"
            )
        # A sample may be split between two events.
        sound = self._odd + sound
        whole = len(sound) - len(sound) % self.format.width
        sound, self._odd = sound[:whole], sound[whole:]
        overflow = False
        if bounded:
            room = max(self.format.size(BUFFER_MS) - len(self._held), 0)
            overflow = len(sound) > room and not self._full
            self._full = self._full or overflow
            sound = sound[:room]
        self._held += sound
        self.clock_ms += self.format.ms(len(sound))
        return sound, overflow

    def trim(self, before_ms: float) -> None:
        """Forget the sound before this moment of the clock."""
        held_from = self.clock_ms - self.format.ms(len(self._held))
        del self._held[: self.format.size(max(before_ms - held_from, 0.0))]

    def cut(self, until_ms: float) -> bytearray:
        """Take out the sound up to this moment of the clock."""
        size = max(len(self._held) - self.format.size(self.clock_ms - until_ms), 0)
        sound = self._held[:size]
        del self._held[:size]
        self._full = False
        return sound

    def check_commit(self) -> None:
        """Raise the service's error when there is too little to commit."""
        held = self.format.ms(len(self._held))
        if held < COMMIT_MS:
            raise WireError(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least 100ms "
                f"of audio, but buffer only has {held:.2f}ms of audio.",
            )

    def clear(self, form: Format | None = None) -> None:
        """Forget everything held; from now on sound comes in `form`, if one is given."""
        self._held.clear()
        self._odd = b""
        self._full = False
        self.format = form or self.format

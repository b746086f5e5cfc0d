"""The open streams of both sides, and the problems of those that could not be opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Final

from voicechat.audio.devices import device_list
from voicechat.audio.devices.device_list import Kind, NoSound
from voicechat.audio.devices.streams import BufferSize, InputStream, OutputStream
from voicechat.audio.messages import AudioSettings

SIDES: Final[tuple[Kind, ...]] = ("output", "input")
"""In the order in which they are opened and closed."""
ALL_SIDES: Final = frozenset(SIDES)


class SoundCard:
    """The streams that are open, and why the others could not be opened. Immutable."""

    def __init__(
        self,
        streams: Iterable[InputStream | OutputStream] = (),
        problems: Mapping[Kind, NoSound] | None = None,
    ) -> None:
        self.speaker: OutputStream | None = None
        self.microphone: InputStream | None = None
        for stream in streams:
            if isinstance(stream, InputStream):
                self.microphone = stream
            else:
                self.speaker = stream
        self.problems: Final = dict(problems or {})
        """Why a side could not be opened."""

    @property
    def streams(self) -> dict[Kind, InputStream | OutputStream]:
        """The open streams."""
        streams: dict[Kind, InputStream | OutputStream | None] = {
            "output": self.speaker,
            "input": self.microphone,
        }
        return {kind: stream for kind, stream in streams.items() if stream is not None}

    @property
    def complete(self) -> bool:
        """True if everything requested was opened."""
        return not self.problems

    def without(self, kinds: frozenset[Kind]) -> SoundCard:
        """Return the card without these streams, which stay open."""
        streams = (stream for kind, stream in self.streams.items() if kind not in kinds)
        return SoundCard(streams, self.problems)

    def problem(self) -> tuple[str, str]:
        """Return why sides could not be opened: what happened, and what to do."""
        problems = [self.problems[kind] for kind in SIDES if kind in self.problems]
        if not problems:
            return "", ""
        text = problems[0].problem
        if len(problems) == 2 and text != problems[1].problem:
            text = "Neither the microphone nor the speaker can be used."
        return text, problems[0].hint

    def subject(self, kinds: frozenset[Kind]) -> str:
        """Return a subject for a sentence about these open sides."""
        if len(kinds) != 1:
            return "The sound device"
        (kind,) = kinds
        return f"The {device_list.NOUNS[kind]} {self.streams[kind].name}"

    def stall_problem(self, kinds: frozenset[Kind]) -> tuple[str, str]:
        """Return why open sides do not work: what happened, and what to do."""
        if any(self.streams[kind].clock.too_fast for kind in kinds):
            return (
                f"{self.subject(kinds)} is a dummy device without a clock.",
                device_list.REAL_DEVICE_HINT,
            )
        return f"{self.subject(kinds)} does not respond.", device_list.RECONNECT_HINT

    def close(self) -> None:
        """Close the streams. May hang."""
        for stream in self.streams.values():
            # A device that is gone may refuse even that.
            with contextlib.suppress(Exception):
                stream.close()


def open_sides(
    settings: AudioSettings,
    size: BufferSize,
    kinds: Iterable[Kind],
    kept: SoundCard | None = None,
    closing: SoundCard | None = None,
    *,
    refresh: bool = False,
) -> SoundCard:
    """Close the streams of `closing`, open these sides, and return them with those of `kept`.

    refresh: read the list of devices before; no other stream may be open. May hang.
    """
    if closing is not None:
        closing.close()
    if refresh:
        device_list.refresh()
    kept = kept or SoundCard()
    streams: list[InputStream | OutputStream] = list(kept.streams.values())
    problems = dict(kept.problems)
    for kind in sorted(kinds, key=SIDES.index):
        problems.pop(kind, None)
        try:
            if kind == "output":
                streams.append(OutputStream(settings, size))
            else:
                streams.append(InputStream(settings))
        except NoSound as problem:
            problems[kind] = problem
    return SoundCard(streams, problems)

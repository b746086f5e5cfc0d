"""A voice on a Wyoming server, such as wyoming-piper.

    synthesize ──────────────────────────────> audio-start, audio-chunk …, audio-stop
    synthesize-start, -chunk …, -stop ───────> the same for each sentence, then synthesize-stopped

The second form is used when the server supports it. Wyoming has no speed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from wyoming.event import Event
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from voicechat.errors import SessionLost
from voicechat.server.tts.remote_sound import MonoConverter, SoundFormat
from voicechat.server.wyoming_link import WyomingServer
from voicechat.speech.pcm import Samples


class WyomingVoice:
    """A `RemoteVoice` on a Wyoming server. voice: its name there; None selects the default.

    rate: sample rate in Hz of the samples that `synthesize` yields.
    """

    def __init__(self, url: str, rate: int, voice: str | None = None) -> None:
        self._server = WyomingServer("voice", url)
        self._voice = SynthesizeVoice(voice) if voice else None
        self._rate = rate
        self.takes_whole_texts = False

    @property
    def label(self) -> str:
        """The beginning of a sentence about this voice."""
        return self._server.label

    async def check(self) -> None:
        """Ask the server for its services. Raises `VoicechatError` unless it can speak."""
        program = await self._server.program("tts")
        self.takes_whole_texts = program.get("supports_synthesize_streaming") is True

    async def synthesize(self, text: str, speed: float) -> AsyncGenerator[Samples, None]:
        """Yield the speech. Close the iterator to drop the connection. Raises `VoicechatError`."""
        streaming = self.takes_whole_texts
        async with self._server.connect() as link:
            for event in self._request(text, streaming):
                await link.write(event)
            converter: MonoConverter | None = None
            source: SoundFormat | None = None
            while not self._is_end(event := await link.read(), streaming):
                if event.type not in ("audio-start", "audio-chunk"):
                    continue
                if (found := self._format(event)) != source or converter is None:
                    converter, source = MonoConverter(found, self._rate, self.label), found
                if event.payload:
                    yield converter.convert(event.payload)
            if converter is not None:
                yield converter.finish()

    def _request(self, text: str, streaming: bool) -> list[Event]:
        whole = Synthesize(text, self._voice).event()
        if not streaming:
            return [whole]
        # The whole text follows for servers that ignore the events of a stream.
        chunk = SynthesizeChunk(text).event()
        return [SynthesizeStart(self._voice).event(), chunk, whole, SynthesizeStop().event()]

    def _is_end(self, event: Event, streaming: bool) -> bool:
        if streaming:
            return SynthesizeStopped.is_type(event.type)
        return event.type == "audio-stop"

    def _format(self, event: Event) -> SoundFormat:
        # `wyoming.audio` would read this, but its import of audioop warns in Python 3.11 and 3.12.
        values = [event.data.get(name) for name in ("rate", "width", "channels")]
        if not all(isinstance(value, int) for value in values):
            raise SessionLost(f"{self.label} sent something that is not Wyoming.")
        return SoundFormat(*values)  # type: ignore[arg-type]

    async def close(self) -> None:
        """Do nothing: each request has a connection of its own."""

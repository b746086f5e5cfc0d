"""Speech of the chosen model: the sound, the usage and the warnings.

The sound of all pieces is one stream of PCM16 mono at 24 kHz, or one stream of encoded bytes. Usage
goes into the ledger and counts against the budgets, as that of conversations does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.core.items import Usage
from voicechat.errors import ConnectError, SessionLost, UsageError, VoicechatError
from voicechat.providers.speech_catalog import speech_choice
from voicechat.providers.speech_service import (
    SPEECH_RATE,
    SpeechAudio,
    SpeechDialog,
    SpeechEvent,
    SpeechFormat,
    SpeechRequest,
    SpeechService,
    SpeechUsage,
    SpeechWarning,
    character_usage,
)
from voicechat.session.model_spending import ModelSpending
from voicechat.synthesis.embedded_speech import EmbeddedSpeech
from voicechat.synthesis.provider_speech import ProviderSpeech, most_bytes
from voicechat.synthesis.sound_decoder import SoundDecoder
from voicechat.synthesis.sound_encoder import ENCODED_HERE, STREAMED
from voicechat.synthesis.speech_settings import SpeechSettings, taken_settings
from voicechat.synthesis.text_source import LiveText, TextSource, WholeText
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.providers.speech_catalog import SpeechChoice

_EMBEDDED_PIECE = 2_000
"""Characters of a piece for the embedded voice, so that progress is visible."""
_PACED_CHARACTERS = 500


class Synthesizer:
    """Speaks texts, one after the other. Close it at the end."""

    def __init__(
        self,
        options: Options,
        settings: SpeechSettings,
        notify: Callable[[str], None],
        *,
        keeps_usage: bool = True,
    ) -> None:
        """Choose the model. `notify` receives warnings, a sentence each.

        Raises `UsageError` for settings that the model does not take, and `KeyMissing`.
        """
        self.choice: SpeechChoice = speech_choice(
            options.model, base_url=options.base_url, environ=options.environ
        )
        self.spending = ModelSpending(options, self.name, notify, keeps=keeps_usage)
        """What the provider billed so far."""
        self.spoken = 0
        """Characters of the pieces that are complete, or that were sent to a socket."""
        self.pace: Callable[[int], Awaitable[None]] = _at_once
        """Waits until the text after so many characters is due; for a socket."""
        self._notify = notify
        self._settings = taken_settings(settings, self.choice, options.voice, notify)
        self._options = options
        self._voice: EmbeddedSpeech | None = None
        self._request = SpeechRequest(
            self.choice.model,
            voice=self._settings.voice,
            speed=self._settings.speed,
            instructions=self._settings.instructions,
            language=self._settings.language,
            key=self.choice.key,
            base_url=self.choice.base_url,
            options=options.gateway,
            environ=options.environ,
        )

    # ----------------------------------------------------------------- checks

    @property
    def name(self) -> str:
        """PROVIDER/MODEL."""
        return self.choice.name

    def is_native(self, audio_format: SpeechFormat, text: TextSource) -> bool:
        """Return True if the provider's own bytes are the file; else it is encoded from PCM.

        Raises `UsageError` for a format that neither makes.
        """
        service = self.choice.service
        made = (*(service.formats if service else ()), *ENCODED_HERE)
        if audio_format not in made:
            formats = ", ".join(dict.fromkeys(made))
            raise UsageError(
                f"{self.choice.provider.name} makes no {audio_format}.", f"It makes {formats}."
            )
        if service is None or audio_format not in service.formats or audio_format in STREAMED:
            return False
        is_one_piece = isinstance(text, WholeText) and text.fits(service.most_characters)
        return is_one_piece or audio_format not in ENCODED_HERE

    # ----------------------------------------------------------------- speaking

    async def sound(
        self, text: TextSource, *, is_played: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield the speech as PCM16 mono at 24 kHz. Raises `VoicechatError`.

        is_played: begin to speak early, over a socket if the provider has one.
        """
        service = self.choice.service
        if service is None:
            made = self._embedded(text)
        elif service.dialog and (is_played or isinstance(text, LiveText)):
            made = self._dialog(text, service, service.dialog)
        else:
            made = self._decoded(text, service)
        has_sound = False
        async with aclosing(made) as pieces:
            async for pcm in pieces:
                if pcm:
                    has_sound = True
                    yield pcm
        if not has_sound:
            raise self._silence()

    async def native(
        self, text: TextSource, audio_format: SpeechFormat
    ) -> AsyncGenerator[bytes, None]:
        """Yield the speech in a format of the provider, as it sends it.

        The pieces of a long text follow each other, which only aac allows: a stream of frames.
        """
        service = self.choice.service
        assert service is not None
        request = replace(self._request, format=audio_format)
        start = b""
        async with aclosing(self._answers(text, service, request)) as events:
            async for event in events:
                if event is not None and event.data:
                    start = start or event.data
                    self._check_start(start, audio_format)
                    yield event.data
        if not start:
            raise self._silence()

    def _silence(self) -> VoicechatError:
        """Return the error for a text that became no sound at all."""
        if self.choice.service is None:
            hint = "It may be in a language that the voice does not speak."
            return UsageError(f"{self.name} has no sound for this text.", hint)
        return SessionLost(f"{self.name} sent no sound.", "Try again, or choose another --model.")

    def _check_start(self, start: bytes, audio_format: SpeechFormat) -> None:
        """Raise `ConnectError` for bytes that are no sound of a compressed format."""
        if start.startswith((b"RIFF", b"{", b"<")):
            what = "WAV" if start.startswith(b"RIFF") else "text"
            raise ConnectError(
                f"{self.name} sent {what} instead of {audio_format}.", "Try --format wav."
            )

    async def _embedded(self, text: TextSource) -> AsyncGenerator[bytes, None]:
        if self._voice is None:
            self._voice = EmbeddedSpeech(
                self._options, self._settings.voice, self._settings.speed, self._notify
            )
        async with aclosing(text.pieces(_EMBEDDED_PIECE)) as pieces:
            async for piece in pieces:
                async with aclosing(self._voice.speak(piece)) as words:
                    async for pcm in words:
                        yield pcm
                self.spoken += len(piece)

    async def _decoded(
        self, text: TextSource, service: SpeechService
    ) -> AsyncGenerator[bytes, None]:
        request = replace(self._request, format=service.sound(self._request))
        label = self.choice.provider.name
        decoder = SoundDecoder(label)
        async with aclosing(self._answers(text, service, request)) as events:
            async for event in events:
                if event is None:
                    yield decoder.finish()
                    decoder = SoundDecoder(label)
                else:
                    yield decoder.decode(event.data, event.rate)

    async def _dialog(
        self,
        text: TextSource,
        service: SpeechService,
        make: Callable[[SpeechRequest], SpeechDialog],
    ) -> AsyncGenerator[bytes, None]:
        """Yield the sound of a socket. Without one, a complete text is spoken over HTTP."""
        from voicechat.synthesis.dialog_speech import DialogText, dialog_speech

        await self.spending.require()
        bill, parts = _Bill(), DialogText(self._paced(text), service.dialog_s)
        received = 0
        try:
            is_first = True
            while is_first or await parts.has_more():
                is_first, decoder = False, SoundDecoder(self.choice.provider.name)
                dialog = make(self._request)
                speech = dialog_speech(dialog, parts, self._request.key, self._sent)
                async with aclosing(speech) as events:
                    async for event in events:
                        if isinstance(event, SpeechAudio):
                            bill.has_sound = True
                            self._require_end(received := received + len(event.data))
                            yield decoder.decode(event.data, event.rate)
                        else:
                            bill.usage += self._taken(event)
                yield decoder.finish()
            return
        except (ConnectError, SessionLost):
            if bill.has_sound or isinstance(text, LiveText):
                raise
        finally:
            await parts.close()
            self._count(bill, self.spoken, service)
        self.spoken = 0
        async with aclosing(self._decoded(text, service)) as pieces:
            async for pcm in pieces:
                yield pcm

    def _require_end(self, received: int) -> None:
        """Raise `SessionLost` for more bytes than the text so far can have."""
        if received > most_bytes(self.spoken, self._request.speed):
            raise SessionLost(f"{self.choice.provider.name} does not stop sending sound.")

    async def _paced(self, text: TextSource) -> AsyncGenerator[str, None]:
        """Yield the text in small parts, not much earlier than it is heard."""
        passed = 0
        async with aclosing(text.deltas()) as deltas:
            async for delta in deltas:
                for start in range(0, len(delta), _PACED_CHARACTERS):
                    part = delta[start : start + _PACED_CHARACTERS]
                    yield part
                    passed += len(part)
                    await self.pace(passed)

    def _sent(self, characters: int) -> None:
        self.spoken += characters

    async def _answers(
        self, text: TextSource, service: SpeechService, request: SpeechRequest
    ) -> AsyncGenerator[SpeechAudio | None, None]:
        """Yield the sound of each piece, and None after a piece."""
        provider = ProviderSpeech(service, request)
        try:
            async with aclosing(text.pieces(service.most_characters)) as pieces:
                async for piece in pieces:
                    await self.spending.require()
                    bill = _Bill()
                    try:
                        async with aclosing(provider.speak(piece)) as events:
                            async for event in events:
                                if isinstance(event, SpeechAudio):
                                    bill.has_sound = True
                                    yield event
                                else:
                                    bill.usage += self._taken(event)
                    finally:
                        # Sound that is cut off is billed, too.
                        self._count(bill, len(piece), service)
                    self.spoken += len(piece)
                    yield None
        finally:
            await provider.close()

    def _taken(self, event: SpeechEvent) -> Usage:
        """Report a warning; return the usage in an event."""
        if isinstance(event, SpeechWarning):
            self._notify(event.text)
        return event.usage if isinstance(event, SpeechUsage) else Usage()

    def _count(self, bill: _Bill, characters: int, service: SpeechService) -> None:
        """Count what a piece costs. A server on this machine charges nothing."""
        host = urlsplit(self.choice.base_url or "").hostname or ""
        billed = bill.usage
        by_characters = service.bills_characters(self.choice.model) and not is_loopback(host)
        if billed == Usage() and bill.has_sound and by_characters:
            billed = character_usage(characters)
        self.spending.spend(billed)

    async def close(self) -> None:
        """Stop the embedded voice and write the usage."""
        if self._voice is not None:
            await self._voice.close()
        await self.spending.close()


@dataclass(slots=True)
class _Bill:
    """What is known about the cost of a piece."""

    usage: Usage = field(default_factory=Usage)
    has_sound: bool = False


async def _at_once(_: int) -> None:
    """Do not wait."""


def seconds_of(pcm_bytes: int) -> float:
    """Return the duration of PCM16 mono at 24 kHz."""
    return pcm_bytes / (2 * SPEECH_RATE)

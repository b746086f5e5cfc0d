"""Speech of the embedded voice: the text-to-speech of `voicechat serve` in a worker process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, cast

from voicechat.config.options import Options
from voicechat.config.setting_place import similar
from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.server.engine_protocols import SpokenWords, TextToSpeech

SPEEDS = (0.5, 2.0)


class EmbeddedSpeech:
    """Speaks pieces of text, one after the other. Close it at the end."""

    def __init__(
        self,
        options: Options,
        voice: str | None,
        speed: float | None,
        notify: Callable[[str], None],
    ) -> None:
        """`notify` receives a sentence when a server at --tts fails and this voice takes over."""
        self._options, self._voice, self._speed = options, voice, speed or 1.0
        self._notify = notify
        self._engine: TextToSpeech | None = None

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Yield PCM16 mono at 24 kHz. Raises `UsageError` for an unknown voice, `ServerError`."""
        if self._engine is None:
            self._engine = self._made()
            await self._engine.open()
        spoken = self._engine.speak(text, self._voice, self._speed)
        async with aclosing(cast("AsyncGenerator[SpokenWords, None]", spoken)) as words:
            async for each in words:
                if each.pcm:
                    yield each.pcm

    def _made(self) -> TextToSpeech:
        """Create the engine. Raises `UsageError` for an unknown voice."""
        from voicechat.server.engine_startup import create_voice
        from voicechat.server.serve_options import RemoteEngine, ServeOptions

        options = self._options
        remote = None
        if options.tts:
            remote = RemoteEngine(
                options.tts, options.tts_model, voice=options.tts_voice, key=options.tts_key
            )
        engine = create_voice(
            ServeOptions(tts=remote, voices=_installed_voices(self._notify), parent_watch=True),
            self._notify,
        )
        if self._voice is not None and self._voice not in engine.names:
            hint = similar(self._voice, engine.names) or f"Choose {one_of(engine.names)}."
            raise UsageError(f"There is no voice {clean(self._voice)[:40]!r}.", hint)
        return engine

    async def close(self) -> None:
        """Stop the worker process."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()


def _installed_voices(notify: Callable[[str], None]) -> dict[str, Path]:
    """Return the voices of the chosen model and of all downloaded ones, with their files."""
    from voicechat.local_models.installed_model import chosen_model, installed_models

    chosen = chosen_model("tts", notify)
    models = [*([chosen] if chosen else []), *installed_models("tts")]
    return {name: each.folder / each.files[0] for each in models for name in each.voices}

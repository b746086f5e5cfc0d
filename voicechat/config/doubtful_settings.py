"""Settings that are valid but have no effect: each becomes a warning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voicechat.config.options import FILE_SETTINGS, SETTINGS, Options
from voicechat.config.setting_place import similar
from voicechat.core.text import clean
from voicechat.errors import UsageError

PREFIX = "VOICECHAT_"

OTHER_VARIABLES = (
    "VOICECHAT_TOKEN",
    "VOICECHAT_CHAT_KEY",
    "VOICECHAT_STT_KEY",
    "VOICECHAT_TTS_KEY",
    "VOICECHAT_TURN_PASSWORD",
    "VOICECHAT_SERVE_TOKEN",
    "VOICECHAT_SETUP_TOKEN",
    "VOICECHAT_KEYS_ON_INPUT",
    "VOICECHAT_PARENT_WATCH",
    "VOICECHAT_USER_NOTEBOOK",
    "VOICECHAT_FORBIDDEN_TOOLS",
    "VOICECHAT_WARM_SPEECH",
)
"""Variables that are not settings."""

_NEEDED = {
    "stt_model": "stt",
    "stt_language": "stt",
    "tts_model": "tts",
    "tts_voice": "tts",
    "chat_model": "chat_url",
}
"""Settings that belong to an address, and the setting with that address."""


def warnings(options: Options, environ: Mapping[str, str], text: str) -> Iterator[str]:
    """The warnings about these options.

    text: of the settings file, which may refer to variables. Raises `UsageError` for a flag that
    has no effect.
    """
    yield from _variables(environ, text)
    for name, address in _NEEDED.items():
        if getattr(options, name) is not None and getattr(options, address) is None:
            where = options.origin(name)
            sentence = f"{where} has no effect without an address."
            hint = f"Set {SETTINGS[address].flag} too."
            if where.startswith("--"):
                raise UsageError(sentence, hint)
            yield f"{sentence} {hint}"
    for folder in options.folders:
        if not folder.is_dir():
            where, name = options.origin("folders"), clean(str(folder))
            yield f"{where}: there is no folder {name}. Create it, or correct the path."


def _variables(environ: Mapping[str, str], text: str) -> Iterator[str]:
    known = [*(each.variable for each in FILE_SETTINGS.values()), *OTHER_VARIABLES]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and name not in text:
            near = similar(name.removeprefix(PREFIX), (each.removeprefix(PREFIX) for each in known))
            hint = near.replace("mean ", f"mean {PREFIX}") or "See docs/settings.md."
            yield f"{clean(name)[:60]} is not a variable that voicechat reads. {hint}"

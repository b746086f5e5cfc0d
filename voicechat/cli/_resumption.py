"""The model of a conversation that `--resume` or `--continue` continues."""

from __future__ import annotations

from dataclasses import replace

from voicechat.config.options import Options
from voicechat.errors import VoicechatError
from voicechat.history.history_rows import ConversationRow


def with_its_model(options: Options, row: ConversationRow) -> Options:
    """The options with the model of the conversation, unless the user chose one.

    Without a key for it, the usual model continues, and a warning says so.
    """
    if options.model is not None or options.base_url is not None or not row.model:
        return options
    from voicechat.providers import catalog

    try:
        catalog.resolve(row.model, environ=options.environ)
    except VoicechatError as error:
        text = f"{error.message} Another model continues the conversation."
        return replace(options, warnings=(*options.warnings, text))
    voice = options.voice or row.voice or None
    return replace(options, model=row.model, voice=voice)

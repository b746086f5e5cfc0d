"""Values that a shell completes, by parameter. Each function imports what it needs when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from voicechat.session.server_discovery import FoundServer

Values = list[str | tuple[str, str]]
"""Values, each alone or with a description."""

Complete = Callable[..., Values]
"""Takes the context of the command, or nothing."""

_CONVERSATIONS = 50
"""Most conversations."""

_DEVICES_S = 1.5
"""Seconds for the list of devices."""


def models() -> Values:
    """Models for conversations; those whose key is set are marked."""
    return _models("conversation")


def transcription_models() -> Values:
    """Models that transcribe, and the embedded voice."""
    from voicechat.providers.catalog import every_provider

    live = _models("transcription")
    recorded = [
        f"{each.name}/{name}"
        for each in every_provider().values()
        if each.transcription is not None
        for name in each.transcription.models
    ]
    known = {each[0] for each in live}
    return ["local", *live, *(name for name in recorded if name not in known)]


def speech_models() -> Values:
    """Models that speak, and the embedded voice."""
    return ["local", *_models("speech")]


def speech_voices(ctx: typer.Context) -> Values:
    """Voices of the model that was typed, or of all models that speak, and the embedded ones."""
    from voicechat.session.model_list import list_models

    found = [each for each in list_models() if each.purpose == "speech"]
    model = ctx.params.get("model") or ctx.params.get("speak") or ""
    own = [each for each in found if model in {each.name, each.provider} and each.voices]
    listed = [voice for each in own or found for voice in each.voices]
    return [*dict.fromkeys(listed if own else [*embedded_voices(), *listed])]


def translation_models() -> Values:
    """Models that translate."""
    return _models("translation")


def _models(purpose: str) -> Values:
    from voicechat.session.model_list import list_models

    return [
        (each.name, "key is set" if each.has_key else "needs a key")
        for each in list_models()
        if each.purpose == purpose
    ]


def voices(ctx: typer.Context) -> Values:
    """Voices of the model that was typed or set, or of all models."""
    from voicechat.config import loader
    from voicechat.session.model_list import list_models

    found = [each for each in list_models() if each.purpose == "conversation"]
    model = ctx.params.get("model") or loader.load().model or ""
    own = [each for each in found if model in {each.name, each.provider} and each.voices]
    return [*dict.fromkeys(voice for each in own or found for voice in each.voices)]


def embedded_voices() -> Values:
    """Voices of the embedded server."""
    from voicechat.providers.catalog import LOCAL

    return [*LOCAL.voices]


def microphones() -> Values:
    """Microphones by name."""
    return _devices(is_input=True)


def speakers() -> Values:
    """Speakers by name."""
    return _devices(is_input=False)


def _devices(*, is_input: bool) -> Values:
    from voicechat.audio.devices.device_probe import ProbeRequest, name_of, probe
    from voicechat.core.text import clean

    found = probe(ProbeRequest(only_names=True), _DEVICES_S).devices
    side = [each for each in found if (each.inputs if is_input else each.outputs)]
    kind = "input" if is_input else "output"
    names = (name_of(found, "input" if is_input else "output", str(each.index)) for each in side)
    return ["default", *[(clean(name), kind) for name in names if name]]


def conversations() -> Values:
    """Ids of the conversations in the history, with their titles."""
    from voicechat.history import history_calls

    rows = [each.conversation for each in history_calls.find("", _CONVERSATIONS)]
    return [(row.id, row.title) for row in rows]


def profiles() -> Values:
    """Profiles of the settings file."""
    import tomllib

    from voicechat.config.loader import settings_path
    from voicechat.system.private_files import read_text

    return [*tomllib.loads(read_text(settings_path())[0]).get("profiles", {})]


def themes() -> Values:
    """Themes of the screen."""
    from textual.theme import BUILTIN_THEMES

    return ["dark", "light", "auto", *BUILTIN_THEMES]


def dialects() -> Values:
    """Dialects of the API."""
    from voicechat.providers.catalog import DIALECTS

    return [*DIALECTS]


def barge_in() -> Values:
    """Sensitivities of barge-in."""
    from voicechat.config.options import SETTINGS

    return [*SETTINGS["barge_in"].choices]


def chat_servers() -> Values:
    """Addresses of chat servers on this machine."""
    return [(each.url, each.name) for each in _servers() if each.models]


def chat_models(ctx: typer.Context) -> Values:
    """Models of the chat servers on this machine."""
    url = ctx.params.get("chat_url")
    return [
        (name, each.name)
        for each in _servers()
        if not url or each.url == url
        for name in each.models
    ]


def _servers() -> list[FoundServer]:
    import asyncio

    from voicechat.session.server_discovery import find_servers

    return asyncio.run(find_servers())


def providers() -> Values:
    """Providers that need a key."""
    from voicechat.providers.catalog import every_provider

    return [each.name for each in every_provider().values() if each.key_variables]


def local_models() -> Values:
    """Ids of local models."""
    from voicechat.local_models.model_catalog import local_models as catalog

    return [(each.id, each.title) for each in catalog().values()]


def mcp_servers() -> Values:
    """MCP servers in the settings."""
    from voicechat.config import loader

    return [each.name for each in loader.load().mcp_servers]


def own_tools() -> Values:
    """Built-in tools, and the endpoints of the settings."""
    from voicechat.config import loader
    from voicechat.tools.builtin import builtin
    from voicechat.tools.tool_context import ToolContext

    options = loader.load()
    found = builtin(ToolContext(options.folders))
    return [*(tool.spec.name for tool in found), *(each.name for each in options.endpoints)]


def approved_tools() -> Values:
    """Tools that run without asking."""
    from voicechat.tools.permissions import Approvals

    return [*dict.fromkeys(each.name for each in Approvals())]


OF_SETTINGS: dict[str, Complete] = {
    "model": models,
    "voice": voices,
    "wire": dialects,
    "profile": profiles,
    "input_device": microphones,
    "output_device": speakers,
    "barge_in": barge_in,
    "theme": themes,
    "chat_url": chat_servers,
    "chat_model": chat_models,
}
"""The values of settings, by name."""

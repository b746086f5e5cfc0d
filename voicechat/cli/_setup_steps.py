"""The steps of `voicechat setup`: the model, the sound, the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from voicechat.cli import _sound_check
from voicechat.cli._dialog import agree, ask, choose, tell
from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.config.settings_file import write_settings
from voicechat.errors import VoicechatError
from voicechat.providers.catalog import LOCAL, every_provider
from voicechat.session.model_list import ListedProvider, list_providers
from voicechat.session.server_discovery import FoundServer, find_servers
from voicechat.system import exit_deadline

_UNSET = dict.fromkeys(("model", "base_url", "chat_url", "chat_model"))
"""The settings that name a model; each choice sets some and removes the others."""

_EMBEDDED_MODEL = f"{LOCAL.name}/{LOCAL.default_model}"


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model that the user can choose."""

    text: str
    settings: Mapping[str, str] = field(default_factory=dict)
    server: FoundServer | None = None
    """The chat server whose model is still to be chosen."""
    needs_key: bool = False
    """Another provider, whose key is still to be entered."""


def set_up() -> bool:
    """Ask, check and write; True if the settings were written. Raises `typer.Abort` at the end."""
    options = loader.load()
    servers = exit_deadline.run(find_servers())
    _tell_found(options, servers)
    settings: dict[str, object] = {**_UNSET, **_chosen_model(options, servers)}
    if agree("\nCheck the microphone and the speaker?"):
        settings |= _sound_check.check(options)
    return _write(settings)


def _tell_found(options: Options, servers: list[FoundServer]) -> None:
    tell("", "Keys:")
    keys = [
        f"  {name} ({place}), of {provider.name}"
        for provider in list_providers(options)
        for name, place in provider.key_places.items()
    ]
    tell(*(keys or ["  none"]))
    tell("", "Model servers on this machine:")
    tell(*([f"  {each.name} at {each.place}{_models(each)}" for each in servers] or ["  none"]))


def _models(server: FoundServer) -> str:
    if not server.models:
        return ""
    shown = ", ".join(server.models[:3])
    return f": {shown}{', …' if len(server.models) > 3 else ''}"


# ------------------------------------------------------------------------------- the model


def _chosen_model(options: Options, servers: list[FoundServer]) -> dict[str, str]:
    """Ask for the model; return the settings that name it."""
    while True:
        found = [*_choices(options, servers)]
        choice = found[choose("Who should answer?", [each.text for each in found])]
        if choice.needs_key:
            provider = _enter_key()
            if provider is not None:
                return {"model": provider}
            continue
        if "base_url" in choice.settings:
            model = ask("Name of its language model (Enter: the one that it lists):")
            return {**choice.settings, **({"model": model} if model else {})}
        if choice.server is None:
            return dict(choice.settings)
        return {**choice.settings, "chat_model": _chat_model(choice.server)}


def _choices(options: Options, servers: list[FoundServer]) -> Iterator[_Choice]:
    for provider in list_providers(options):
        if provider.key_places and provider.default_model and provider.is_ready:
            yield _Choice(
                f"{provider.default_model}, with {_key(provider)}",
                {"model": provider.default_model},
            )
    for server in servers:
        if server.models:
            text = f"Embedded voice with {server.name} at {server.place}; private"
            yield _Choice(text, {"model": _EMBEDDED_MODEL, "chat_url": server.url}, server)
        if server.is_realtime:
            text = f"{server.name} at {server.place}, with its own speech; private"
            yield _Choice(text, {"base_url": server.url})
    alone = "Embedded voice alone; private, answers everyday requests"
    yield _Choice(alone, {"model": _EMBEDDED_MODEL})
    yield _Choice("Another provider: enter a key", needs_key=True)


def _key(provider: ListedProvider) -> str:
    name, place = next(iter(provider.key_places.items()))
    return f"{name} ({place})"


def _chat_model(server: FoundServer) -> str:
    if len(server.models) == 1:
        return server.models[0]
    return server.models[choose(f"Which model of {server.name}?", server.models)]


def _enter_key() -> str | None:
    """Ask for a key and keep it; return PROVIDER/MODEL, or None if that failed."""
    from voicechat.cli.login import keep_key, read_key

    able = [each for each in every_provider().values() if each.key_variables]
    provider = able[choose("Which provider?", [each.name for each in able])]
    try:
        keep_key(provider, read_key(provider), loader.load())
    except VoicechatError as error:
        tell(str(error))
        return None
    name = provider.default_model or ask("Name of your deployment:")
    return f"{provider.name}/{name}" if name else None


# ------------------------------------------------------------------------------- the settings


def _write(settings: Mapping[str, object]) -> bool:
    path = loader.settings_path()
    tell("", f"Settings for {path}:")
    tell(*(f"  {name} = {value}" for name, value in settings.items() if value is not None))
    if not agree("Write them?"):
        tell("Nothing was written.")
        return False
    write_settings(settings, path)
    tell("Done.")
    return True

"""Parameters of `voicechat.connect` as the options that the command uses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.session.client_checks import check_choice, check_tool_list, check_type, check_types
from voicechat.session.keyring_access import unlock
from voicechat.tools.registry import BUILT_IN, Tool

if TYPE_CHECKING:
    from voicechat.config.options import BargeIn

Output = Literal["audio", "text"]
"""The kind of replies."""

NO_FILE = Path(os.devnull) / "config.toml"
"""A path where no settings file can be."""

PROGRAM = "this program"
"""The source of the tools that a caller of the Python API brings."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Open the microphone and speaker of this machine. None keeps the setting of the user."""

    input: str | int | None = None
    """Microphone: its number or a part of its name, as `voicechat devices` lists them."""
    output: str | int | None = None
    """Speaker: its number or a part of its name."""
    echo_cancel: bool | None = None
    """Remove the sound of the speaker from the microphone."""
    noise_suppression: bool | None = None
    """Remove noise from the microphone."""
    gain_control: bool | None = None
    """Level the loudness of the user's voice."""
    barge_in: BargeIn | None = None
    """How easily speech stops a reply: `off`, `low`, `normal` or `high`."""

    def flags(self) -> dict[str, object]:
        """The settings that these devices mean. Raises `TypeError` for a wrong type."""
        for name in ("input", "output"):
            if getattr(self, name) is not None:
                check_type(f"Devices.{name}", getattr(self, name), str, int)
        switches = ("echo_cancel", "noise_suppression", "gain_control")
        named: dict[str, object] = {name: getattr(self, name) for name in (*switches, "barge_in")}
        check_types(named, {**dict.fromkeys(switches, bool), "barge_in": str})
        names = {"input_device": self.input, "output_device": self.output}
        return named | {key: None if name is None else str(name) for key, name in names.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of `connect`. None means "not given": the settings decide."""

    model: str | None
    base_url: str | None
    api_key: str | None
    profile: str | None
    settings: bool | str | os.PathLike[str]
    transport: str | None = None
    voice: str | None = None
    instructions: str | None = None
    push_to_talk: bool | None = None
    output: Output = "audio"
    history: bool = False
    budget: float | None = None

    @property
    def keeps_files(self) -> bool:
        """False if the program wants nothing of the user's files."""
        return self.history or self.settings is not False

    def check(self) -> None:
        """Raise `TypeError` for a wrong type, `UsageError` for a wrong value."""
        texts = (
            "model", "voice", "instructions", "base_url", "transport", "api_key", "profile",
        )  # fmt: skip
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        check_types(given, {**dict.fromkeys(texts, str), "push_to_talk": bool})
        check_choice("output", self.output, get_args(Output))
        check_type("settings", self.settings, bool, str, os.PathLike)
        check_type("history", self.history, bool)
        if self.budget is not None:
            check_type("budget", self.budget, float, int)
        if self.profile is not None and self.settings is False:
            raise UsageError("profile needs a settings file.", "Leave settings=False out.")

    def options(self, devices: Devices | None) -> Options:
        """The options of the session. Raises as `check` does, and for wrong settings."""
        self.check()
        flags: dict[str, object] = {
            "model": self.model,
            "voice": self.voice,
            "instructions": self.instructions,
            "base_url": self.base_url,
            "transport": self.transport,
            "profile": self.profile,
            "push_to_talk": self.push_to_talk,
            "budget": None if self.budget is None else str(self.budget),
        }
        if devices is not None:
            flags |= devices.flags()
        options = loader.load(flags, path=self._path())
        if options.keyring_keys and self.api_key is None and unlock(options):
            options = loader.load(flags, path=self._path())
        if devices is not None:
            from voicechat.config.remembered_devices import fill_devices

            options = fill_devices(options)
        if self.output == "text":
            options = replace(
                options, session_settings={**options.session_settings, "output": "text"}
            )
        if self.api_key is not None:
            options = replace(options, keys=self._keys(options, self.api_key))
        return options

    def _path(self) -> Path | None:
        if isinstance(self.settings, bool):
            return None if self.settings else NO_FILE
        path = Path(self.settings).expanduser()
        if not path.exists():
            raise UsageError(
                f"settings: there is no file {clean(str(path))}.",
                "Pass settings=False to read no file.",
            )
        return path

    def _keys(self, options: Options, key: str) -> Mapping[str, Secret]:
        from voicechat.providers.catalog import provider_named

        text = key.strip()
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            problem = "contains characters that no key has" if text else "is empty"
            raise UsageError(f"api_key {problem}.", "Leave it out to use the key of the settings.")
        name = (options.model or "openai").partition("/")[0]
        provider = provider_named(name)
        if provider is None:  # the catalog rejects the model
            return options.keys
        if provider.key_variable is None:
            raise UsageError(f"{name} takes no API key.", "Leave api_key out.")
        others = {k: v for k, v in options.keys.items() if k not in provider.key_variables}
        return {**others, provider.key_variable: Secret(key)}


def with_tools(
    options: Options, tools: Iterable[Tool | str] | None
) -> tuple[Options, tuple[Tool, ...]]:
    """The options that offer exactly these tools, and the caller's own among them.

    A name means a tool of the command: built in, or of a plugin, an endpoint or an MCP server.
    None keeps the tools of the settings. Raises `TypeError` for what is no list of tools, and
    `UsageError` when a name occurs twice.
    """
    if tools is None:
        return options, ()
    check_tool_list(tools)
    listed = tuple(tools)
    for each in listed:
        if not isinstance(each, (Tool, str)):
            raise TypeError(
                f"tools holds {getattr(each, '__name__', each)!r}, which is not a tool."
                " Decorate the function with @voicechat.tool, or give the name of a tool."
            )
    own = tuple(_sourced(each) for each in listed if isinstance(each, Tool))
    names = tuple(each.spec.name if isinstance(each, Tool) else each for each in listed)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"There are two tools called {twice!r}.", "Rename one of them.")
    if len(own) == len(listed):
        # Nothing of a server could be offered, so none is started.
        options = replace(options, mcp_servers=())
    return replace(options, tools=names), own


def _sourced(tool: Tool) -> Tool:
    return replace(tool, source=PROGRAM) if tool.source == BUILT_IN else tool

"""The options of one run, and the schema of the settings behind them.

Each field of `Options` that a user sets carries a `Setting` as metadata. From it come the key in
the settings file, the environment variable, the flag with its help, the checks and
docs/settings.md. The other fields hold what whole tables of the files give.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from voicechat.config.age import age_in_days
from voicechat.errors import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from voicechat.config.budget_settings import BudgetSettings
    from voicechat.config.call_settings import CallSettings
    from voicechat.config.endpoint import Endpoint
    from voicechat.config.guardrail_settings import GuardrailRule
    from voicechat.config.joined_call import JoinedCall
    from voicechat.config.mcp_server import ServerConfig
    from voicechat.core.price import Price
    from voicechat.core.settings import Permission, PermissionRule

BargeIn = Literal["off", "low", "normal", "high"]

_HTTP = ("http://", "https://")
_ENGINE = ("wyoming://", *_HTTP)


EMBEDDED = "embedded"
"""The table of the settings file with the engines of the embedded voice."""
HISTORY = "history"
"""The table of the settings file about the history."""


class Setting(NamedTuple):
    """The schema of one setting."""

    name: str
    """Field of `Options` and key in the settings file."""
    default: object
    help: str
    """One sentence about the value, for the help of its flag and the documents."""
    metavar: str = ""
    """Placeholder for the value in the help; empty for a switch."""
    flag: str = ""
    flag_help: str = ""
    """Help of the flag where it differs, because the flag turns a switch off."""
    choices: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    """Accepted beginnings of an address; empty for other text."""
    is_private: bool = False
    """The address must be https:// or on this machine."""
    in_file: bool = True
    """True if the settings file and the environment may set it."""
    table: str = EMBEDDED
    """Table of the file that may hold it, under its key `inner`."""
    inner: str = ""
    """Key in that table; empty if it is in none."""
    is_age: bool = False
    """The value is a number of days, weeks, months or years."""
    at_top: bool = True
    """True if the file may also set it by its name, outside that table."""

    @property
    def variable(self) -> str:
        """Environment variable that sets it; empty when there is none."""
        return f"VOICECHAT_{self.name.upper()}" if self.in_file else ""

    @property
    def is_switch(self) -> bool:
        """True if the value is true or false."""
        return not self.metavar

    @property
    def is_engine(self) -> bool:
        """True if it is about the embedded voice."""
        return bool(self.inner) and self.table == EMBEDDED

    @property
    def keys(self) -> tuple[str, ...]:
        """Its keys in the settings file."""
        if not self.in_file:
            return ()
        inner = (f"{self.table}.{self.inner}",) if self.inner else ()
        return (self.name, *inner) if self.at_top else inner


def _about(help: str, metavar: str = "", **more: Any) -> Mapping[str, Any]:  # noqa: A002
    return {"help": help, "metavar": metavar, **more}


def _engine(key: str, help: str, metavar: str, **more: Any) -> Mapping[str, Any]:  # noqa: A002
    return _about(help, metavar, inner=key, at_top=False, **more)


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a user can set for a session. None means not set: the session chooses."""

    model: str | None = field(
        default=None, metadata=_about("Model to talk with.", "PROVIDER/MODEL")
    )
    voice: str | None = field(default=None, metadata=_about("Voice of the assistant.", "NAME"))
    instructions: str | None = field(
        default=None, metadata=_about("Instructions for the assistant.", "TEXT")
    )
    base_url: str | None = field(
        default=None,
        metadata=_about(
            "Address of the provider's API.", "URL", schemes=(*_HTTP, "ws://", "wss://")
        ),
    )
    token: Secret | None = field(
        default=None,
        repr=False,
        metadata=_about("Connect with the short-lived token in VOICECHAT_TOKEN.", in_file=False),
    )
    """A short-lived token to connect with instead of a key."""
    token_url: str | None = field(
        default=None,
        metadata=_about(
            "Endpoint that issues a short-lived token for each connection.",
            "URL",
            schemes=_HTTP,
            is_private=True,
        ),
    )
    token_command: str | None = field(
        default=None,
        metadata=_about("Command that prints a token for each connection.", "CMD"),
    )
    wire: str | None = field(
        default=None, metadata=_about("API dialect: ga, beta, voice-live or live.", "KIND")
    )
    transport: str = field(
        default="websocket",
        metadata=_about(
            "Connection to the provider: websocket or webrtc.",
            "KIND",
            choices=("websocket", "webrtc"),
        ),
    )
    profile: str | None = field(
        default=None, metadata=_about("Profile of the settings file.", "NAME")
    )
    with_sound: bool = field(
        default=True, metadata=_about("Typed chat without sound.", flag="--text", in_file=False)
    )
    """True if a microphone and a speaker are opened."""
    push_to_talk: bool = field(default=False, metadata=_about("Listen only when you press Space."))
    input_device: str | None = field(
        default=None, metadata=_about("Microphone: its number or part of its name.", "NAME")
    )
    output_device: str | None = field(
        default=None, metadata=_about("Speaker: its number or part of its name.", "NAME")
    )
    echo_cancel: bool = field(
        default=True,
        metadata=_about(
            "Cancel the echo of the speaker.",
            flag="--no-echo-cancel",
            flag_help="Disable echo cancellation, for headphones.",
        ),
    )
    noise_suppression: bool = field(default=False, metadata=_about("Suppress background noise."))
    gain_control: bool = field(default=False, metadata=_about("Automatic gain control."))
    barge_in: BargeIn = field(
        default="normal",
        metadata=_about(
            "How easily your voice interrupts a reply: off, low, normal or high.",
            "KIND",
            choices=get_args(BargeIn),
        ),
    )
    earcons: bool = field(
        default=False, metadata=_about("Play short sounds when the state changes.")
    )
    """States: listening, working, stopped, error."""
    theme: str | None = field(
        default=None,
        metadata=_about(
            "Colors of the screen: dark, light, auto (as the terminal) or a theme's name.", "NAME"
        ),
    )
    stt: str | None = field(
        default=None,
        metadata=_engine(
            "stt",
            "Speech recognition server for the embedded voice: Wyoming or OpenAI-compatible.",
            "URL",
            schemes=_ENGINE,
        ),
    )
    stt_model: str | None = field(
        default=None, metadata=_engine("stt_model", "Model at --stt.", "NAME")
    )
    stt_language: str | None = field(
        default=None,
        metadata=_engine("stt_language", "Language for --stt, such as en.", "CODE"),
    )
    tts: str | None = field(
        default=None,
        metadata=_engine(
            "tts",
            "Text-to-speech server for the embedded voice: Wyoming or OpenAI-compatible.",
            "URL",
            schemes=_ENGINE,
        ),
    )
    tts_model: str | None = field(
        default=None, metadata=_engine("tts_model", "Model at --tts.", "NAME")
    )
    tts_voice: str | None = field(
        default=None, metadata=_engine("tts_voice", "Voice at --tts.", "NAME")
    )
    chat_url: str | None = field(
        default=None,
        metadata=_about(
            "OpenAI-compatible chat endpoint for the embedded voice.",
            "URL",
            schemes=_HTTP,
            inner="chat",
        ),
    )
    chat_model: str | None = field(
        default=None, metadata=_about("Model at --chat-url.", "NAME", inner="chat_model")
    )
    ice_servers: str | None = field(
        default=None,
        metadata=_about(
            "STUN and TURN servers for WebRTC, such as 'stun:HOST turn:USER@HOST'.", "URLS"
        ),
    )
    local_chat: bool = field(
        default=True,
        metadata=_about(
            "Let a chat server of this machine answer when no model is named and no key is set.",
            flag="--no-local-chat",
            flag_help="Do not look for a chat server on this machine.",
        ),
    )
    model_mirror: str | None = field(
        default=None,
        metadata=_about(
            "Web folder with copies of the local models.", "URL", flag="--mirror", schemes=_HTTP
        ),
    )
    notify: bool = field(
        default=True,
        metadata=_about(
            "Ring the bell and notify you when a tool waits or an answer is ready while you use"
            " another window.",
            flag="--no-notify",
            flag_help="No bell and no notification while you use another window.",
        ),
    )
    record: Path | None = field(
        default=None,
        metadata=_about("Record the conversation in a new folder.", "DIR", in_file=False),
    )
    budget: str | None = field(
        default=None,
        metadata=_about("Request nothing more after this cost.", "DOLLARS", in_file=False),
    )
    """The most that this session may cost, as it was typed."""
    spending: BudgetSettings | None = None
    """Limits of what sessions spend, with `budget`; None without any."""
    history: bool = field(
        default=True,
        metadata=_about(
            "Keep conversations in the history.",
            flag="--no-history",
            flag_help="Keep nothing of this conversation in the history.",
            table=HISTORY,
            inner="enabled",
            at_top=False,
        ),
    )
    history_keep: str | None = field(
        default=None,
        metadata=_about(
            "Age at which conversations leave the history, such as 90 days; default never.",
            "AGE",
            flag="--keep",
            table=HISTORY,
            inner="keep",
            at_top=False,
            is_age=True,
        ),
    )
    history_titles: str = field(
        default="words",
        metadata=_about(
            "Titles of conversations: words (your first ones) or model (it writes them).",
            "KIND",
            choices=("words", "model"),
            table=HISTORY,
            inner="titles",
            at_top=False,
        ),
    )
    keys: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """Keys of providers by the name of their environment variable, such as OPENAI_API_KEY."""
    keyring_keys: tuple[str, ...] = ()
    """Variables whose key is in the keyring and was not read; see `key_store.read_keyring`."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    """Unchecked addresses and versions by the name of their environment variable."""
    session_settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Fields of `SessionSettings` that the settings file sets."""
    tools: tuple[str, ...] | None = None
    """Names of the tools to offer; None for all of them."""
    folders: tuple[Path, ...] = ()
    """Folders in which tools may read files."""
    permissions: Mapping[str, Permission] = field(default_factory=dict, hash=False)
    """Permissions by the name of the tool; they win over stored approvals."""
    permission_rules: Mapping[str, tuple[PermissionRule, ...]] = field(
        default_factory=dict, hash=False
    )
    """Permissions of calls by their arguments, by the name of the tool."""
    prices: Mapping[str, Price] = field(default_factory=dict, hash=False)
    """The user's prices, by PROVIDER/MODEL."""
    keymap: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Keys of the screen by their action, as written in the settings file."""
    mcp_servers: tuple[ServerConfig, ...] = ()
    """MCP servers that voicechat connects to. `session_settings` has those the provider calls."""
    guardrails: tuple[GuardrailRule, ...] = ()
    """Words and patterns that stop a reply."""
    endpoints: tuple[Endpoint, ...] = ()
    """HTTP endpoints of the user that are offered as tools."""
    gateway: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
    """Options of the AI Gateway, in its shape; see `gateway_settings`."""

    call: JoinedCall | None = None
    """The phone call that the session joins; None for a session of its own."""
    calls: CallSettings | None = None
    """How phone calls are answered; None without the table."""
    remembered_devices: tuple[Literal["input", "output"], ...] = ()
    """The sides whose device was remembered, not chosen this time."""
    typed_devices: Mapping[Literal["input", "output"], str] = field(
        default_factory=dict, hash=False
    )
    """Devices to remember once they have opened."""
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where a setting comes from, for a message: `config.toml:3: voice`, `--voice`."""
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Sentences about settings that have no effect."""

    def origin(self, name: str) -> str:
        """The place that set a setting, `permissions.TOOL` or `keymap.ACTION`.

        Of `keys.VARIABLE`, a word.
        """
        return self.origins.get(name, name)

    @property
    def environ(self) -> Mapping[str, str | Secret]:
        """Everything that the catalog of providers may look up."""
        return {**self.variables, **self.keys}

    @property
    def history_days(self) -> float | None:
        """Days after which a conversation leaves the history; None to keep it."""
        return None if self.history_keep is None else age_in_days(self.history_keep)

    @property
    def chat_key(self) -> Secret | None:
        """The key for the chat endpoint."""
        return self._engine_key(self.chat_url, "VOICECHAT_CHAT_KEY")

    @property
    def stt_key(self) -> Secret | None:
        """The key for the speech recognizer at `stt`."""
        return self._engine_key(self.stt, "VOICECHAT_STT_KEY")

    @property
    def turn_password(self) -> Secret | None:
        """The password of the TURN server in `ice_servers`."""
        return self.key("VOICECHAT_TURN_PASSWORD")

    @property
    def tts_key(self) -> Secret | None:
        """The key for the voice at `tts`."""
        return self._engine_key(self.tts, "VOICECHAT_TTS_KEY")

    def _engine_key(self, url: str | None, variable: str) -> Secret | None:
        """The key for an engine. OpenAI's own key goes to OpenAI only."""
        from urllib.parse import urlsplit

        host = urlsplit(url or "").hostname or ""
        is_openai = host == "openai.com" or host.endswith(".openai.com")
        return self.key(variable, *(["OPENAI_API_KEY"] if is_openai else []))

    @property
    def forbidden_tools(self) -> frozenset[str]:
        """The tools with the permission `never`."""
        return frozenset(name for name, word in self.permissions.items() if word == "never")

    def key(self, *variables: str) -> Secret | None:
        """The first of these keys that is set."""
        return next((self.keys[name] for name in variables if name in self.keys), None)


SETTINGS: Mapping[str, Setting] = {
    each.name: Setting(
        name=each.name,
        default=each.default,
        **{"flag": f"--{each.name.replace('_', '-')}", **each.metadata},
    )
    for each in fields(Options)
    if each.metadata
}
"""The schema: every setting with a flag of its own, by name."""

FILE_SETTINGS: Mapping[str, Setting] = {
    name: setting for name, setting in SETTINGS.items() if setting.in_file
}
"""The settings that the file and the environment may set."""


def typed(parameters: Mapping[str, object]) -> dict[str, object]:
    """The settings that were typed, from the parameters of a command named like the settings.

    A switch that was typed becomes the opposite of its default; other parameters are left out.
    """
    return {
        name: not SETTINGS[name].default if value is True else value
        for name, value in parameters.items()
        if name in SETTINGS and value is not None and value is not False
    }

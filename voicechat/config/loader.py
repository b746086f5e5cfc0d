"""What the person asked for: defaults < settings file < environment < flags.

One table rules: the fields of `Options`. A field's metadata says which environment variables
set it; its name is the key in the settings file and, with dashes, the flag. An error names the
place it came from (file, line and key; variable; flag) and the nearest right name, and is a
`UsageError`; nothing is ever silently replaced by a default, and no file is ever written.

Keys of providers live in the environment or in the file's `[keys]` table, and are `Secret`
from the moment they are read.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from voicechat.config import endpoint_settings, mcp_settings, session_keys
from voicechat.config.endpoint import Endpoint
from voicechat.config.mcp_server import ServerConfig
from voicechat.config.session_keys import Place, nearest, record
from voicechat.core.price import Price
from voicechat.core.settings import Permission
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.system.private_files import read_text, refuse_strangers

_KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|API_TOKEN|AD_TOKEN)|VOICECHAT_CHAT_KEY")

BargeIn = Literal["off", "low", "normal", "high"]
_CHOICES: Mapping[str, tuple[str, ...]] = {"barge_in": get_args(BargeIn)}

_ADDRESSES = ("OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT")
_VARIABLES = (*_ADDRESSES, "OPENAI_API_VERSION")
"""Variables of providers that are no keys; what they mean is the catalog's business."""


def _from(*variables: str) -> Mapping[str, tuple[str, ...]]:
    return {"variables": variables}


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a session is asked to be. None means "not said": the session chooses."""

    model: str | None = field(default=None, metadata=_from("VOICECHAT_MODEL"))
    """PROVIDER/MODEL, as the catalog of providers reads it."""
    voice: str | None = field(default=None, metadata=_from("VOICECHAT_VOICE"))
    instructions: str | None = field(default=None, metadata=_from("VOICECHAT_INSTRUCTIONS"))
    base_url: str | None = field(default=None, metadata=_from("VOICECHAT_BASE_URL"))
    """Where the provider's realtime API lives instead of its usual place: http(s) or ws(s)."""
    token: Secret | None = field(default=None, repr=False)
    """A short-lived token to connect with instead of a key."""
    token_url: str | None = field(default=None, metadata=_from("VOICECHAT_TOKEN_URL"))
    """A setup endpoint that gives a short-lived token for each connection."""
    wire: str | None = field(default=None, metadata=_from("VOICECHAT_WIRE"))
    """How the provider's API is spoken to where its address does not tell: ga, beta, voice-live."""
    profile: str | None = field(default=None, metadata=_from("VOICECHAT_PROFILE"))
    """The profile of the settings file that was chosen."""
    with_sound: bool = True
    """False for `--text`: no microphone and no speaker is opened."""
    push_to_talk: bool = field(default=False, metadata=_from("VOICECHAT_PUSH_TO_TALK"))
    input_device: str | None = field(default=None, metadata=_from("VOICECHAT_INPUT_DEVICE"))
    """A number or a part of the name, as `voicechat devices` lists them."""
    output_device: str | None = field(default=None, metadata=_from("VOICECHAT_OUTPUT_DEVICE"))
    echo_cancel: bool = field(default=True, metadata=_from("VOICECHAT_ECHO_CANCEL"))
    noise_suppression: bool = field(default=False, metadata=_from("VOICECHAT_NOISE_SUPPRESSION"))
    """Take noise out of what the microphone hears; recognisers do better without."""
    gain_control: bool = field(default=False, metadata=_from("VOICECHAT_GAIN_CONTROL"))
    """Bring the person's voice to an even loudness."""
    barge_in: BargeIn = field(default="normal", metadata=_from("VOICECHAT_BARGE_IN"))
    """How readily the person's voice stops the assistant's before the provider says anything."""
    earcons: bool = field(default=False, metadata=_from("VOICECHAT_EARCONS"))
    """Short sounds for listening, working, stopped and errors."""
    chat_url: str | None = field(default=None, metadata=_from("VOICECHAT_CHAT_URL"))
    """An OpenAI-compatible chat endpoint that thinks for the embedded voice."""
    chat_model: str | None = field(default=None, metadata=_from("VOICECHAT_CHAT_MODEL"))
    record: Path | None = None
    """A folder to write the conversation down in while it is held."""
    keys: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """Keys of providers by the name of their environment variable, e.g. OPENAI_API_KEY."""
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Addresses and versions of providers by the name of their environment variable."""
    wanted: Mapping[str, object] = field(default_factory=dict, hash=False)
    """Fields of `SessionSettings` that the settings file sets."""
    tools: tuple[str, ...] | None = None
    """Names of the tools to offer; None for all of them."""
    folders: tuple[Path, ...] = ()
    """Folders that tools may read files in."""
    permissions: Mapping[str, Permission] = field(default_factory=dict, hash=False)
    """Who decides on calls, by the name of the tool; it wins over what was always allowed."""
    prices: Mapping[str, Price] = field(default_factory=dict, hash=False)
    """The person's own prices, by PROVIDER/MODEL."""
    mcp_servers: tuple[ServerConfig, ...] = ()
    """MCP servers that run here or are asked from here; those of the provider are in `wanted`."""
    endpoints: tuple[Endpoint, ...] = ()
    """HTTP endpoints of the person's own that are tools."""

    @property
    def environ(self) -> Mapping[str, str | Secret]:
        """Everything the catalog of providers may look up."""
        return {**self.variables, **self.keys}

    @property
    def chat_key(self) -> Secret | None:
        """The key for the chat endpoint. OpenAI's own key goes to OpenAI and nowhere else."""
        host = urlsplit(self.chat_url or "").hostname or ""
        mine = host == "openai.com" or host.endswith(".openai.com")
        return self.key("VOICECHAT_CHAT_KEY", *(["OPENAI_API_KEY"] if mine else []))

    def key(self, *variables: str) -> Secret | None:
        """The first key that is set, in the order asked for."""
        return next((self.keys[name] for name in variables if name in self.keys), None)


_FIELDS = {f.name: f for f in fields(Options)}
_SETTINGS = {name: f for name, f in _FIELDS.items() if "variables" in f.metadata}
_SCHEMES = {
    "base_url": ("http://", "https://", "ws://", "wss://"),
    "token_url": ("http://", "https://"),
    "chat_url": ("http://", "https://"),
}


def settings_path() -> Path:
    """Where the person's settings file is looked for. It need not exist."""
    import platformdirs

    return platformdirs.user_config_path("voicechat", appauthor=False) / "config.toml"


def holds_key(variable: str) -> bool:
    """Whether an environment variable of this name holds a key."""
    return _KEY_VARIABLE.fullmatch(variable) is not None


def load(
    flags: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Options:
    """The options of this run.

    `flags` holds what was typed, by field name; None means not typed. `environ` and `path`
    default to the real ones. Raises `UsageError` for anything wrong in any of the three.
    """
    environ = os.environ if environ is None else environ
    path = settings_path() if path is None else path
    stored = _read_file(path)
    typed = {name: value for name, value in flags.items() if value is not None}
    tokened = bool(typed.pop("token", False))
    for name, value in typed.items():
        _check(f"--{name.replace('_', '-')}", name, value)
    keys = stored.keys | {
        name: Secret(value.strip())
        for name, value in environ.items()
        if value.strip() and holds_key(name)
    }
    given = {**_read_environment(environ), **typed}
    profile = stored.profile(given.get("profile"))
    merged = {**stored.settings, **profile, **given}
    if tokened:
        merged["token"] = _token(environ)
    if "record" in merged:
        merged["record"] = Path(str(merged["record"])).expanduser()
    named: dict[str, str | Secret] = {**environ, **keys}
    servers = mcp_settings.read_json(path.with_name("mcp.json"), named)
    if stored.mcp is not None:
        servers += mcp_settings.servers(*stored.mcp, named)
    return Options(
        **merged,  # type: ignore[arg-type]
        mcp_servers=mcp_settings.unlike(servers),
        endpoints=() if stored.endpoints is None else stored.endpoints.read(named),
        keys=MappingProxyType(keys),
        variables=_read_variables(environ),
        prices=MappingProxyType(stored.prices),
    )


# ------------------------------------------------------------------- environment and checks

_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, setting in _SETTINGS.items():
        for variable in reversed(setting.metadata["variables"]):
            text = environ.get(variable, "").strip()
            if not text:
                continue
            value: object = text
            if isinstance(setting.default, bool):
                value = _WORDS.get(text.lower())
                if value is None:
                    raise UsageError(f"{variable} must be yes or no, not {text[:40]!r}.")
            _check(variable, name, value)
            found[name] = value
    return found


def _read_variables(environ: Mapping[str, str]) -> Mapping[str, str]:
    found = {name: environ.get(name, "").strip() for name in _VARIABLES}
    for name in _ADDRESSES:
        if found[name]:
            _check(name, "base_url", found[name])
    return {name: value for name, value in found.items() if value}


def _token(environ: Mapping[str, str]) -> Secret:
    value = environ.get("VOICECHAT_TOKEN", "").strip()
    if not value:
        raise KeyMissing(
            "--token takes a short-lived token from VOICECHAT_TOKEN, which is not set.",
            "Have one printed by: voicechat token --model PROVIDER/MODEL",
        )
    return Secret(value)


def _check(place: str, name: str, value: object) -> None:
    wanted = bool if isinstance(_FIELDS[name].default, bool) else str
    if type(value) is not wanted:
        kind = "true or false" if wanted is bool else "text in quotes"
        raise UsageError(f"{place} must be {kind}, not {type(value).__name__}.")
    if not isinstance(value, str):
        return
    if not value.strip():
        raise UsageError(f"{place} is empty.", "Leave it out to use the default.")
    if "\0" in value:
        raise UsageError(f"{place} contains a NUL character.")
    if value not in _CHOICES.get(name, (value,)):
        raise UsageError(f"{place} must be one of {', '.join(_CHOICES[name])}.")
    schemes = _SCHEMES.get(name)
    if schemes:
        _check_url(place, value, schemes)
    if name == "token_url":
        _check_private(place, value)


def _check_url(place: str, value: str, schemes: tuple[str, ...]) -> None:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        sound = value.lower().startswith(schemes) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise UsageError(f"{place} must be an address like {schemes[-1]}host:port/v1.")
    if parts.password or parts.username:
        raise UsageError(
            f"{place} must not hold a key or a password.", "Set it in the environment instead."
        )


def _check_private(place: str, url: str) -> None:
    from voicechat.system.loopback import is_loopback

    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise UsageError(f"{place} must begin with https://, or be on this machine.")


# --------------------------------------------------------------------------------- the file


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the settings file says."""

    settings: dict[str, object] = field(default_factory=dict)
    keys: dict[str, Secret] = field(default_factory=dict)
    profiles: dict[str, dict[str, object]] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    mcp: tuple[mcp_settings.Origin, object] | None = None
    endpoints: endpoint_settings.Written | None = None

    def profile(self, chosen: object) -> dict[str, object]:
        """The settings of a profile, laid over those of the file: the named, or the file's own."""
        name = chosen or self.settings.get("profile")
        if name is None:
            return {}
        if name not in self.profiles:
            known = list(self.profiles)
            hint = nearest(str(name), known) if known else "Write one as [profiles.NAME]."
            raise UsageError(f"There is no profile {str(name)[:40]!r}.", hint)
        found = {"profile": name, **self.profiles[str(name)]}
        wanted = cast("dict[str, object]", self.settings.get("wanted", {}))
        over = cast("dict[str, object]", found.get("wanted", {}))
        return {**found, "wanted": {**wanted, **over}}


_TABLES = ("keys", "profiles", "prices", mcp_settings.TABLE, endpoint_settings.TABLE)


def _read_file(path: Path) -> _Stored:
    text, status = read_text(path)
    if status is None:
        return _Stored()
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _line_of_error(text, error)
        raise UsageError(f"{path}:{line} is not valid TOML: {_reason(error)}.") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply.") from None
    place = Place(path, text)
    keys = table.pop("keys", {})
    profiles = _tables(place, "profiles", table.pop("profiles", {}))
    prices = _tables(place, "prices", table.pop("prices", {}))
    endpoints = _tables(place, endpoint_settings.TABLE, table.pop(endpoint_settings.TABLE, {}))
    servers = table.pop(mcp_settings.TABLE, None)
    return _Stored(
        _read_settings(place, table, _TABLES),
        _read_keys(place, status, keys),
        {
            name: _read_settings(Place(path, text, f"profiles\0{name}"), inner)
            for name, inner in profiles.items()
        },
        {
            name: record(Place(path, text, f"prices\0{name}"), inner, Price)
            for name, inner in prices.items()
        },
        None if servers is None else (mcp_settings.Origin(path, text, status), servers),
        endpoint_settings.Written(place, status, endpoints),
    )


def _tables(place: Place, name: str, value: object) -> dict[str, dict[str, object]]:
    if not isinstance(value, dict) or not all(isinstance(inner, dict) for inner in value.values()):
        raise UsageError(f"{place(name)} must hold tables.", f"Write [{name}.NAME] on a line.")
    return value


def _read_settings(
    place: Place, table: Mapping[str, object], tables: tuple[str, ...] = ()
) -> dict[str, object]:
    """What a table sets: settings of a word, a switch, or a session's own."""
    known = [*_SETTINGS, "tools", "folders", "permissions", *session_keys.KEYS, *tables]
    if not tables:
        known.remove("profile")
    found: dict[str, object] = {}
    for name, value in table.items():
        if name not in known:
            raise place.refuse(name, known)
        if name in _SETTINGS:
            _check(place(name), name, value)
            found[name] = value
    if "tools" in table:
        found["tools"] = _names(place, "tools", table["tools"])
    if "folders" in table:
        found["folders"] = _folders(place, _names(place, "folders", table["folders"]))
    if "permissions" in table:
        found["permissions"] = _permissions(place, table["permissions"])
    wanted = session_keys.read(place, table)
    if wanted.get("turn_detection", ...) is None:
        del wanted["turn_detection"]
        found["push_to_talk"] = True
    return {**found, "wanted": wanted} if wanted else found


def _names(place: Place, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{place(name)} must be a list of names in quotes.")
    return tuple(value)


def _folders(place: Place, names: tuple[str, ...]) -> tuple[Path, ...]:
    folders = tuple(Path(name).expanduser() for name in names)
    for folder in folders:
        if not folder.is_absolute():
            raise UsageError(
                f"{place('folders')} must hold whole paths, not {str(folder)[:60]!r}.",
                "Begin them with / or ~.",
            )
    return folders


def _permissions(place: Place, value: object) -> Mapping[str, Permission]:
    if not isinstance(value, dict):
        raise UsageError(f"{place('permissions')} must be a table.", "Write [permissions].")
    words = [word.value for word in Permission]
    for name, word in value.items():
        if word not in words:
            where = Place(place.path, place.text, "permissions")(name)
            raise UsageError(f"{where} must be one of {', '.join(words)}.")
    return MappingProxyType({name: Permission(word) for name, word in value.items()})


def _read_keys(place: Place, status: os.stat_result, keys: object) -> dict[str, Secret]:
    if not isinstance(keys, dict):
        raise UsageError(f"{place('keys')} must be a table.", "Write [keys] on its own line.")
    if not keys:
        return {}
    refuse_strangers(place.path, status)
    found = {}
    for name, value in keys.items():
        where = Place(place.path, place.text, "keys")(name)
        if not holds_key(name) and not endpoint_settings.names(place.text, name):
            raise UsageError(f"{where} is not the name of a key.", "Write it like OPENAI_API_KEY.")
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{where} must be the key as text in quotes.")
        found[name] = Secret(value.strip())
    return found


def _line_of_error(text: str, error: tomllib.TOMLDecodeError) -> int:
    match = re.search(r"\(at line (\d+), column \d+\)", str(error))
    return int(match[1]) if match else len(text.splitlines()) or 1


def _reason(error: tomllib.TOMLDecodeError) -> str:
    sentence = re.sub(r" \(at .*\)$", "", str(error))
    return sentence[:1].lower() + sentence[1:120]

"""What the person asked for: defaults < settings file < environment < flags.

One table rules: the fields of `Options`. A field's metadata says which environment variables
set it; its name is the key in the settings file and, with dashes, the flag. An error names the
place it came from (file, line and key; variable; flag) and the nearest right name, and is a
`UsageError`; nothing is ever silently replaced by a default, and no file is ever written.

Keys of providers live in the environment or in the file's `[keys]` table, and are `Secret`
from the moment they are read.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from voicechat.errors import Secret, UsageError

FILE_LIMIT = 1 << 20
"""Bytes; a larger settings file is refused unread."""

_KEY_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*_(?:API_KEY|API_TOKEN)|VOICECHAT_CHAT_KEY")


def _from(*variables: str) -> Mapping[str, tuple[str, ...]]:
    return {"variables": variables}


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a session is asked to be. None means "not said": the session chooses."""

    model: str | None = field(default=None, metadata=_from("VOICECHAT_MODEL"))
    """PROVIDER/MODEL, as the catalog of providers reads it."""
    voice: str | None = field(default=None, metadata=_from("VOICECHAT_VOICE"))
    instructions: str | None = field(default=None, metadata=_from("VOICECHAT_INSTRUCTIONS"))
    base_url: str | None = field(
        default=None, metadata=_from("VOICECHAT_BASE_URL", "OPENAI_BASE_URL")
    )
    """Where the provider's realtime API lives instead of its usual place: http(s) or ws(s)."""
    with_sound: bool = True
    """False for `--text`: no microphone and no speaker is opened."""
    push_to_talk: bool = field(default=False, metadata=_from("VOICECHAT_PUSH_TO_TALK"))
    input_device: str | None = field(default=None, metadata=_from("VOICECHAT_INPUT_DEVICE"))
    """A number or a part of the name, as `voicechat devices` lists them."""
    output_device: str | None = field(default=None, metadata=_from("VOICECHAT_OUTPUT_DEVICE"))
    echo_cancel: bool = field(default=True, metadata=_from("VOICECHAT_ECHO_CANCEL"))
    chat_url: str | None = field(default=None, metadata=_from("VOICECHAT_CHAT_URL"))
    """An OpenAI-compatible chat endpoint that thinks for the embedded voice."""
    chat_model: str | None = field(default=None, metadata=_from("VOICECHAT_CHAT_MODEL"))
    record: Path | None = None
    """A folder to write the conversation down in while it is held."""
    keys: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """Keys of providers by the name of their environment variable, e.g. OPENAI_API_KEY."""

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
    stored, keys = _read_file(settings_path() if path is None else path)
    typed = {name: value for name, value in flags.items() if value is not None}
    for name, value in typed.items():
        _check(f"--{name.replace('_', '-')}", name, value)
    keys |= {
        name: Secret(value.strip())
        for name, value in environ.items()
        if value.strip() and holds_key(name)
    }
    merged = {**stored, **_read_environment(environ), **typed}
    if "record" in merged:
        merged["record"] = Path(str(merged["record"])).expanduser()
    return Options(**merged, keys=MappingProxyType(keys))  # type: ignore[arg-type]


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
    schemes = _SCHEMES.get(name)
    if schemes:
        _check_url(place, value, schemes)


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


# --------------------------------------------------------------------------------- the file


def _read_file(path: Path) -> tuple[dict[str, object], dict[str, Secret]]:
    text, status = _read_text(path)
    if status is None:
        return {}, {}
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _line_of_error(text, error)
        raise UsageError(f"{path}:{line} is not valid TOML: {_reason(error)}.") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply.") from None
    keys = table.pop("keys", {})
    for name, value in table.items():
        where = f"{path}:{_line_of(text, name)}: {name}"
        if name not in _SETTINGS:
            raise UsageError(f"{where} is not a setting.", _nearest(name, [*_SETTINGS, "keys"]))
        _check(where, name, value)
    return table, _read_keys(path, text, status, keys)


def _read_text(path: Path) -> tuple[str, os.stat_result | None]:
    """The file's text and its status; ("", None) when there is no such file."""
    try:
        # Not blocking: a FIFO without a writer would hold the start for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return "", None
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {word}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is not a file.")
        if status.st_size > FILE_LIMIT:
            raise UsageError(f"{path} is larger than 1 MB and cannot be a settings file.")
        raw = os.read(descriptor, FILE_LIMIT)
    finally:
        os.close(descriptor)
    try:
        return raw.decode("utf-8-sig"), status
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line} is not UTF-8 text.") from None


def _read_keys(path: Path, text: str, status: os.stat_result, keys: object) -> dict[str, Secret]:
    if not isinstance(keys, dict):
        line = _line_of(text, "keys")
        raise UsageError(f"{path}:{line}: keys must be a table.", "Write [keys] on its own line.")
    if not keys:
        return {}
    _refuse_strangers(path, status)
    found = {}
    for name, value in keys.items():
        where = f"{path}:{_line_of(text, name)}: {name}"
        if not holds_key(name):
            raise UsageError(f"{where} is not the name of a key.", "Write it like OPENAI_API_KEY.")
        if not isinstance(value, str) or not value.strip():
            raise UsageError(f"{where} must be the key as text in quotes.")
        found[name] = Secret(value.strip())
    return found


def _refuse_strangers(path: Path, status: os.stat_result) -> None:
    """A file with keys must belong to the person alone; one that others can read is tightened."""
    if os.name != "posix":
        return
    if status.st_uid not in {os.getuid(), 0}:
        raise UsageError(f"{path} holds keys but belongs to another user.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        try:
            os.chmod(path, 0o600)
        except OSError:
            raise UsageError(
                f"{path} holds keys that other users can read.", f"Type: chmod 600 {path}"
            ) from None


def _line_of(text: str, name: str) -> int:
    pattern = re.compile(rf"^\s*\[?[\"']?{re.escape(name)}[\"']?\s*[=.\]]", re.MULTILINE)
    match = pattern.search(text)
    return text.count("\n", 0, match.end()) + 1 if match else 1


def _line_of_error(text: str, error: tomllib.TOMLDecodeError) -> int:
    match = re.search(r"\(at line (\d+), column \d+\)", str(error))
    return int(match[1]) if match else len(text.splitlines()) or 1


def _reason(error: tomllib.TOMLDecodeError) -> str:
    sentence = re.sub(r" \(at .*\)$", "", str(error))
    return sentence[:1].lower() + sentence[1:120]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name.replace("-", "_").lower(), known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known are {', '.join(known)}."

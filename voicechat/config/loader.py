"""The options of a run: defaults < settings file < environment < flags.

The schema is `SETTINGS` in config/options.py and `KEYS` in config/session_keys.py. An error names
the place it came from (file, line and key; variable; flag) and the nearest right name, and is a
`UsageError`. No wrong value is silently replaced by a default.

Keys of providers come from the environment, else from the file's `[keys]` table, else from
`voicechat login` (config/key_store.py), and are `Secret` from the moment they are read. msgspec,
pydantic and tomlkit do not report the line of a key, so the checks are our own; msgspec converts
the nested tables.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import cast

from voicechat.config import (
    budget_settings,
    call_settings,
    doubtful_settings,
    endpoint_settings,
    gateway_settings,
    guardrail_settings,
    key_store,
    mcp_settings,
    permission_settings,
    session_keys,
)
from voicechat.config.age import age_in_days
from voicechat.config.key_store import KeyPlace
from voicechat.config.options import EMBEDDED, FILE_SETTINGS, HISTORY, SETTINGS, Options
from voicechat.config.session_keys import record
from voicechat.config.setting_place import ConfigFile, SettingPlace, nearest, similar
from voicechat.config.url_check import check_url
from voicechat.config.value_errors import type_in_words
from voicechat.core.price import Price
from voicechat.core.settings import Permission
from voicechat.core.text import clean, one_of
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.system.private_files import read_text

_KEY_VARIABLE = re.compile(
    r"[A-Z][A-Z0-9_]*_(?:API_KEY|API_TOKEN|AD_TOKEN|WEBHOOK_SECRET)"
    r"|VOICECHAT_(?:(?:CHAT|STT|TTS)_KEY|SERVE_TOKEN|TURN_PASSWORD)"
)

_PROVIDER_VARIABLES = ("_BASE_URL", "_ENDPOINT", "_API_VERSION", "_GATEWAY_TEAM")
"""Endings of the variables that a provider may read, apart from keys.

The catalog of providers checks the value of a variable when it uses it.
"""

TABLES: Mapping[str, str] = {
    "tools": "List of the tools to offer; default all.",
    "folders": "List of folders in which tools may read files.",
    "permissions": f"Table of permissions by the name of the tool: {', '.join(Permission)},"
    " or a table of rules: see docs/tools.md.",
    "keys": "Table of keys by the name of their variable, such as OPENAI_API_KEY.",
    "keymap": 'Table of keys of the screen by action, such as mute = "Alt+M"; they are below.',
    EMBEDDED: "Table of the engines of the embedded voice; its keys are above.",
    HISTORY: "Table about the history; its keys are above.",
    "profiles": "Tables of settings that --profile chooses: [profiles.NAME].",
    budget_settings.TABLE: "Table of limits of what you spend, in dollars or tokens: see"
    " docs/usage.md.",
    "prices": 'Tables of your own prices: [prices."PROVIDER/MODEL"].',
    mcp_settings.TABLE: "Tables of MCP servers: [mcpServers.NAME]. Also read from mcp.json.",
    endpoint_settings.TABLE: "Tables of HTTP endpoints that become tools: [endpoints.NAME].",
    guardrail_settings.TABLE: "Tables of words and patterns that stop a reply: [[guardrails]]; the"
    " keys are below.",
    call_settings.TABLE: "Table of phone calls: which are answered, and how; its keys are below.",
    gateway_settings.TABLE: "Table of options of the AI Gateway; its keys are below.",
}
"""Lists and tables of the settings file and their meaning."""

_IN_PROFILES = (
    "tools", "folders", "permissions", guardrail_settings.TABLE, EMBEDDED, HISTORY,
    budget_settings.TABLE,
)  # fmt: skip

_INNER_KEYS = {
    table: {
        each.inner: each.name for each in SETTINGS.values() if each.inner and each.table == table
    }
    for table in (EMBEDDED, HISTORY)
}
"""The tables that hold settings: their keys and the settings that they set."""


def settings_path() -> Path:
    """The path of the user's settings file. It need not exist."""
    import platformdirs

    return platformdirs.user_config_path("voicechat", appauthor=False) / "config.toml"


def holds_key(variable: str) -> bool:
    """True if an environment variable of this name holds a key."""
    return _KEY_VARIABLE.fullmatch(variable) is not None


def load(
    flags: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Options:
    """The options of this run.

    `flags` holds the typed settings by name; None means not typed. `environ` and `path` default to
    the real ones. Raises `UsageError` for anything wrong in any of the three.
    """
    environ = os.environ if environ is None else environ
    path = settings_path() if path is None else path
    stored = _read_file(ConfigFile(path, *read_text(path)))
    typed = {name: value for name, value in flags.items() if value is not None}
    uses_token = bool(typed.pop("token", False))
    for name, value in typed.items():
        _check(SETTINGS[name].flag, name, value)
    logins = key_store.stored_keys(path.with_name(key_store.FILE_NAME))
    from_environ = _read_keys_of(environ)
    keys = {**logins.keys, **stored.keys, **from_environ}
    key_places = dict(logins.places) | dict.fromkeys(stored.keys, KeyPlace.SETTINGS)
    key_places |= dict.fromkeys(from_environ, KeyPlace.ENVIRONMENT)
    given = {**_read_environment(environ), **typed}
    profile = stored.profile(given.get("profile"))
    merged = {**stored.settings, **profile, **given}
    for table in _INNER_KEYS:
        merged.pop(f"[{table}]", None)
    if uses_token:
        merged["token"] = _token(environ)
    if "budget" in merged:
        limits = cast("budget_settings.BudgetSettings | None", merged.get("spending"))
        merged["spending"] = budget_settings.with_flag(limits, str(merged["budget"]))
    if "record" in merged:
        merged["record"] = Path(str(merged["record"])).expanduser()
    named: dict[str, str | Secret] = {**environ, **keys}
    gateway, warnings = gateway_settings.gateway_options(stored.place, stored.gateway, named)
    mcp_warnings = mcp_settings.Warnings()
    servers = mcp_settings.read_json(path.with_name("mcp.json"), named, mcp_warnings)
    if stored.servers is not None:
        servers += mcp_settings.servers(stored.place.file, stored.servers, named, mcp_warnings)
    options = Options(
        **merged,  # type: ignore[arg-type]
        origins=MappingProxyType(
            stored.origins(profile)
            | _origins(environ, typed)
            | {f"keys.{name}": place.value for name, place in key_places.items()}
        ),
        mcp_servers=mcp_settings.refuse_duplicates(servers),
        endpoints=endpoint_settings.endpoints(stored.place, stored.endpoints, named),
        gateway=gateway,
        calls=stored.calls,
        keys=MappingProxyType(keys),
        keyring_keys=tuple(name for name in logins.unread if name not in keys),
        variables=_read_variables(environ),
        prices=MappingProxyType(stored.prices),
    )
    found = doubtful_settings.warnings(options, environ, stored.place.file.text)
    return replace(options, warnings=(*found, *warnings, *mcp_warnings))


def _origins(environ: Mapping[str, str], typed: Mapping[str, object]) -> dict[str, str]:
    """The variables and flags that set a setting, by its name."""
    variables = {
        name: setting.variable
        for name, setting in FILE_SETTINGS.items()
        if environ.get(setting.variable, "").strip()
    }
    return variables | {name: SETTINGS[name].flag for name in typed}


# ------------------------------------------------------------------- environment and checks

_WORDS = {
    "1": True, "true": True, "yes": True, "on": True,
    "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def _read_environment(environ: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, setting in FILE_SETTINGS.items():
        text = environ.get(setting.variable, "").strip()
        if not text:
            continue
        value: object = text
        if setting.is_switch:
            value = _WORDS.get(text.lower())
            if value is None:
                raise UsageError(f"{setting.variable} must be yes or no, not {text[:40]!r}.")
        _check(setting.variable, name, value)
        found[name] = value
    return found


def _read_keys_of(environ: Mapping[str, str]) -> dict[str, Secret]:
    return {
        name: Secret(value.strip())
        for name, value in environ.items()
        if value.strip() and holds_key(name)
    }


def _read_variables(environ: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name: value.strip()
        for name, value in environ.items()
        if name.endswith(_PROVIDER_VARIABLES) and value.strip()
    }


def _token(environ: Mapping[str, str]) -> Secret:
    value = environ.get("VOICECHAT_TOKEN", "").strip()
    if not value:
        raise KeyMissing(
            "--token needs a short-lived token in VOICECHAT_TOKEN, which is not set.",
            "Get one with: voicechat token --model PROVIDER/MODEL",
        )
    return Secret(value)


def _check(where: str, name: str, value: object) -> None:
    setting = SETTINGS[name]
    if type(value) is not (bool if setting.is_switch else str):
        kind = "true or false" if setting.is_switch else "text in quotes"
        raise UsageError(f"{where} must be {kind}, not {type_in_words(value)}.")
    if not isinstance(value, str):
        return
    if not value.strip():
        raise UsageError(f"{where} is empty.", "Leave it out to use the default.")
    if "\0" in value:
        raise UsageError(f"{where} contains a NUL character.")
    if setting.choices and value not in setting.choices:
        hint = similar(value, setting.choices)
        raise UsageError(f"{where} must be {one_of(setting.choices)}.", hint)
    if setting.is_age and age_in_days(value) is None:
        raise UsageError(f"{where} is not an age.", 'Write it like "90 days" or "1 year".')
    if setting.schemes:
        parts = check_url(
            where,
            value,
            setting.schemes,
            example=_example(setting.schemes),
            is_private=setting.is_private,
            hint="Set it in the environment instead.",
        )
        if parts.scheme == "wyoming" and parts.port is None:
            raise UsageError(f"{where} needs a port, like wyoming://localhost:10300.")


def _example(schemes: tuple[str, ...]) -> str:
    if "wyoming://" in schemes:
        return "wyoming://host:port or https://host:port/v1"
    return f"{schemes[-1]}host:port/v1"


# --------------------------------------------------------------------------------- the file


@dataclass(frozen=True, slots=True)
class _StoredSettings:
    """The contents of the settings file."""

    place: SettingPlace
    settings: dict[str, object] = field(default_factory=dict)
    keys: dict[str, Secret] = field(default_factory=dict)
    profiles: dict[str, dict[str, object]] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    servers: object = None
    gateway: object = field(default_factory=dict)
    calls: call_settings.CallSettings | None = None
    endpoints: dict[str, dict[str, object]] = field(default_factory=dict)

    def profile(self, chosen: object) -> dict[str, object]:
        """The settings of the chosen profile, or of the one that the file names."""
        name = chosen or self.settings.get("profile")
        if name is None:
            return {}
        if name not in self.profiles:
            raise self._no_profile(str(name), is_chosen=bool(chosen))
        found = {"profile": name, **self.profiles[str(name)]}
        session_settings = cast("dict[str, object]", self.settings.get("session_settings", {}))
        overrides = cast("dict[str, object]", found.get("session_settings", {}))
        return {**found, "session_settings": {**session_settings, **overrides}}

    def _no_profile(self, name: str, *, is_chosen: bool) -> UsageError:
        """Return the error for a profile that does not exist, named by a flag or by the file."""
        shown = repr(clean(name)[:40])
        path, known = self.place.file.path, list(self.profiles)
        if not is_chosen:
            sentence = f"{self.place('profile')}: There is no profile {shown}."
        elif known:
            sentence = f"{path} has no profile {shown}."
        else:
            exists = self.place.file.status is not None
            state = "has no profiles" if exists else "does not exist"
            sentence = f"There is no profile {shown}: {path} {state}."
        hint = nearest(name, known) if known else f"Start one there with [profiles.{clean(name)}]."
        return UsageError(sentence, hint)

    def origins(self, profile: Mapping[str, object]) -> dict[str, str]:
        """The file, line and key of each setting, by its name or as `permissions.TOOL`."""
        found: dict[str, str] = {}
        tables = [(self.place, self.settings)]
        if profile:
            name = str(profile["profile"])
            tables.append((self.place.table("profiles", name), self.profiles[name]))
        for place, settings in tables:
            session = cast("Mapping[str, object]", settings.get("session_settings", {}))
            found |= {name: place(name) for name in (*settings, *session)}
            for table in _INNER_KEYS:
                keys = cast("Mapping[str, str]", settings.get(f"[{table}]", {}))
                found |= {name: place.below(table)(key) for key, name in keys.items()}
            keymap = cast("Mapping[str, str]", settings.get("keymap", {}))
            found |= {f"keymap.{each}": place.table("keymap")(each) for each in keymap}
            inner = place.table("permissions")
            for table in ("permissions", "permission_rules"):
                permissions = cast("Mapping[str, object]", settings.get(table, {}))
                found |= {f"permissions.{tool}": inner(tool) for tool in permissions}
        return found


def check_file(file: ConfigFile) -> None:
    """Raise `UsageError` if the file is not valid."""
    _read_file(file)


def check_setting(where: str, name: str, value: object) -> None:
    """Raise `UsageError`, which names `where`, if a setting cannot have this value."""
    _check(where, name, value)


def _read_file(file: ConfigFile) -> _StoredSettings:
    place = SettingPlace(file)
    if file.status is None:
        return _StoredSettings(place)
    try:
        table = tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        line = _line_of_error(file.text, error)
        raise UsageError(f"{file.path}:{line} is not valid TOML: {_reason(error)}.") from None
    except RecursionError:
        raise UsageError(f"{file.path} is nested too deeply.") from None
    profiles = _tables(place, "profiles", table)
    prices = _tables(place, "prices", table)
    return _StoredSettings(
        place,
        endpoints=_tables(place, endpoint_settings.TABLE, table),
        servers=table.pop(mcp_settings.TABLE, None),
        gateway=table.pop(gateway_settings.TABLE, {}),
        calls=call_settings.read(place, table.pop(call_settings.TABLE, None)),
        keys=_read_keys(place, table.pop("keys", {})),
        settings=_read_settings(place, table),
        profiles={
            name: _read_settings(place.table("profiles", name), inner)
            for name, inner in profiles.items()
        },
        prices={name: _price(place, name, inner) for name, inner in prices.items()},
    )


def _price(place: SettingPlace, name: str, table: Mapping[str, object]) -> Price:
    inner = place.table("prices", name)
    if not all(name.partition("/")):
        raise UsageError(
            f"{inner.at()}: {clean(name)[:40]!r} is not the name of a model.",
            'Write [prices."PROVIDER/MODEL"].',
        )
    for key, value in table.items():
        if isinstance(value, int | float) and value < 0:
            raise UsageError(f"{inner(key)} must not be negative.")
    return record(inner, table, Price)


def _tables(
    place: SettingPlace, name: str, table: dict[str, object]
) -> dict[str, dict[str, object]]:
    value = table.pop(name, {})
    if not isinstance(value, dict) or not all(isinstance(inner, dict) for inner in value.values()):
        raise UsageError(f"{place(name)} must hold tables.", f"Write [{name}.NAME] on a line.")
    return value


def _read_settings(place: SettingPlace, table: Mapping[str, object]) -> dict[str, object]:
    """The settings in a table: at the top of the file, or those of a profile."""
    at_top = [name for name, setting in FILE_SETTINGS.items() if setting.at_top]
    known = [*at_top, *session_keys.KEYS, *(_IN_PROFILES if place.names else TABLES)]
    if place.names:
        known.remove("profile")
    found: dict[str, object] = {}
    for name, value in table.items():
        if name not in known:
            raise place.unknown(name, known)
        if name in at_top:
            _check(place(name), name, value)
            found[name] = value
    for name in _INNER_KEYS.keys() & table.keys():
        found |= _inner_settings(place, name, table[name])
    if "tools" in table:
        found["tools"] = _names(place, "tools", table["tools"])
    if "folders" in table:
        found["folders"] = _folders(place, _names(place, "folders", table["folders"]))
    if "permissions" in table:
        found |= permission_settings.read(place, table["permissions"])
    found |= guardrail_settings.read(place, table)
    found |= budget_settings.read(place, table)
    found |= _keymap(place, table)
    session_settings = session_keys.read(place, table)
    if session_settings.get("turn_detection", ...) is None:
        del session_settings["turn_detection"]
        found["push_to_talk"] = True
    return {**found, "session_settings": session_settings} if session_settings else found


def _inner_settings(place: SettingPlace, name: str, table: object) -> dict[str, object]:
    """The settings in a table such as `[embedded]`, and under `[NAME]` which key sets which."""
    if not isinstance(table, dict):
        raise UsageError(f"{place(name)} must be a table.", f"Write [{name}].")
    inner, keys = place.below(name), _INNER_KEYS[name]
    found: dict[str, object] = {}
    for key, value in table.items():
        if key not in keys:
            raise inner.unknown(key, keys)
        _check(inner(key), keys[key], value)
        found[keys[key]] = value
    return {**found, f"[{name}]": {key: keys[key] for key in table}} if found else {}


def _keymap(place: SettingPlace, settings: Mapping[str, object]) -> dict[str, object]:
    """The keys by their action, if any; the screen, which knows the actions, checks them."""
    if "keymap" not in settings:
        return {}
    table = settings["keymap"]
    if not isinstance(table, dict):
        raise UsageError(f"{place('keymap')} must be a table.", "Write [keymap].")
    for action, keys in table.items():
        if not isinstance(keys, str) or not keys.strip():
            where = place.table("keymap")(action)
            raise UsageError(f"{where} must be a key in quotes.", 'Write it like "Alt+M".')
    return {"keymap": table}


def _names(place: SettingPlace, name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{place(name)} must be a list of names in quotes.")
    return tuple(value)


def _folders(place: SettingPlace, names: tuple[str, ...]) -> tuple[Path, ...]:
    folders = tuple(Path(name).expanduser() for name in names)
    for folder in folders:
        if not folder.is_absolute():
            raise UsageError(
                f"{place('folders')} must hold absolute paths, not {str(folder)[:60]!r}.",
                "Begin them with / or ~.",
            )
    return folders


def _read_keys(place: SettingPlace, keys: object) -> dict[str, Secret]:
    if not isinstance(keys, dict):
        raise UsageError(f"{place('keys')} must be a table.", "Write [keys] on its own line.")
    if not keys:
        return {}
    place.file.keep_private()
    found = {}
    for name, value in keys.items():
        where = place.table("keys")(name)
        if not holds_key(name) and not endpoint_settings.names(place.file.text, name):
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

"""The table `[permissions]`: the permission of a tool, or rules for its arguments.

fetch_page = "ask"
run_command = { auto = ["git status*"], ask = ["git push*"], never = ["rm *"] }
set_lights = { permission = "ask", auto = [{ room = "kitchen", on = "*" }] }
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NoReturn

from voicechat.config.setting_place import SettingPlace
from voicechat.core.settings import Permission, PermissionRule
from voicechat.core.text import clean, one_of
from voicechat.errors import UsageError

MAX_RULES = 100
"""Rules of one tool."""

MAX_CHARS = 500
"""Characters of a pattern."""

_OF_TOOL = "permission"
"""The key for calls that no rule covers."""


def read(place: SettingPlace, value: object) -> dict[str, object]:
    """Return the settings `permissions` and `permission_rules`. Raises `UsageError`."""
    if not isinstance(value, dict):
        raise UsageError(f"{place('permissions')} must be a table.", "Write [permissions].")
    inner = place.table("permissions")
    permissions: dict[str, Permission] = {}
    rules: dict[str, tuple[PermissionRule, ...]] = {}
    for name, content in value.items():
        if isinstance(content, dict):
            rules[name] = _rules(inner, name, content)
            content = content.get(_OF_TOOL)
            if content is None:
                continue
        permissions[name] = _word(inner, name, content)
    return {
        "permissions": MappingProxyType(permissions),
        "permission_rules": MappingProxyType(rules),
    }


def _word(place: SettingPlace, name: str, content: object) -> Permission:
    words = [word.value for word in Permission]
    if content not in words:
        raise UsageError(f"{place(clean(name)[:40])} must be {one_of(words)}.")
    return Permission(str(content))


def _rules(place: SettingPlace, name: str, table: dict[str, object]) -> tuple[PermissionRule, ...]:
    inner = place.below(name)
    known = [_OF_TOOL, *(word.value for word in Permission)]
    for key in table:
        if key not in known:
            raise inner.unknown(key, known, "a permission")
    found: list[PermissionRule] = []
    for word in Permission:
        patterns = table.get(word.value, [])
        if not isinstance(patterns, list):
            _refuse(inner, word)
        found += [PermissionRule(word, _patterns(inner, word, each)) for each in patterns]
    if len(found) > MAX_RULES:
        raise UsageError(f"{place(clean(name)[:40])} has more than {MAX_RULES} rules.")
    return tuple(found)


def _patterns(place: SettingPlace, word: Permission, rule: object) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for name, text in (rule if isinstance(rule, dict) else {"": rule}).items():
        if not isinstance(text, str) or not text or len(text) > MAX_CHARS or clean(text) != text:
            _refuse(place, word)
        found.append((str(name), text))
    if not found:
        _refuse(place, word)
    return tuple(found)


def _refuse(place: SettingPlace, word: Permission) -> NoReturn:
    raise UsageError(
        f"{place(word.value)} must be a list of patterns in quotes.",
        f'Write {word.value} = ["git status*"] or {word.value} = [{{ argument = "text*" }}].',
    )

"""The table `[calls]`: which phone calls are answered, and how.

[calls]
default = "reject"
profile = "phone"
tools = ["current_time", "find_order"]
auto = ["find_order"]

[calls.transfers]
sales = "tel:+15551234567"

[[calls.rules]]
caller = "+1555*"
days = ["mon", "tue", "wed", "thu", "fri"]
hours = "09:00-17:00"
action = "accept"

[[calls.rules]]
function = "my_office.calls:decide"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal

from voicechat.config.setting_place import SettingPlace
from voicechat.config.table_reader import TableReader
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

TABLE: Final = "calls"
MAX_RULES = 200
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HIDDEN = "hidden"
"""A caller whose number is hidden, in patterns."""

DECLINE = 603
"""The code of SIP for a call that is declined (RFC 3261, 21.6.2)."""

Action = Literal["accept", "reject"]

KEYS: Mapping[str, str] = {
    "default": "accept or reject: the calls that no rule covers; default reject.",
    "code": f"Code of SIP for rejected calls, 400 to 699; default {DECLINE}.",
    "profile": "Profile for accepted calls.",
    "greeting": "Instruction for the first words of the assistant; without it, it waits.",
    "tools": "List of the tools to offer; default those of the profile's `tools`, else none.",
    "auto": "List of tools that run although they ask; all others that ask are denied.",
    "transfers": 'Table of the places to which the model may transfer, like sales = "tel:+1555…".',
    "hang_up": "true if the model may end the call; default false.",
    "at_once": "Calls at a time, 1 to 500; further ones are rejected as busy; default 10.",
    "minutes": "Minutes after which a call is ended, 1 to 600; default 30.",
    "timezone": 'Time zone of the rules, like "Europe/Berlin"; default that of the machine.',
    "secret_command": "Command that prints the secret of the webhook.",
    "rules": "[[calls.rules]] tables: the first one that covers a call decides.",
}
"""The keys of the table and their meaning."""

RULE_KEYS: Mapping[str, str] = {
    "caller": 'Pattern of the number or address, like "+1555*"; "hidden" for hidden numbers; '
    "default all.",
    "days": f"List of weekdays: {', '.join(DAYS)}; default all.",
    "hours": 'Time of day, like "09:00-17:00"; it may pass midnight.',
    "action": "accept or reject.",
    "profile": "Profile for calls that this rule accepts.",
    "code": "Code of SIP for calls that this rule rejects.",
    "function": 'Instead of `action`, a Python function that decides: "module:function", or the '
    "name of an entry point in the group voicechat.calls.",
    "access": "What the function may reach: files (default), network, or all for no sandbox.",
}
"""The keys of a rule and their meaning."""


@dataclass(frozen=True, slots=True)
class CallRule:
    """One rule. It covers a call if all its conditions hold."""

    action: Action | None = None
    """None if the function decides."""
    function: str = ""
    caller: str = "*"
    """Pattern; `*` stands for any characters."""
    days: frozenset[int] = frozenset(range(7))
    """0 is Monday."""
    hours: tuple[int, int] | None = None
    """First minute of the day, and the minute after the last; None for the whole day."""
    profile: str | None = None
    code: int | None = None
    access: str = "files"
    """What the process of the function may reach: files, network or all."""

    def covers(self, caller: str, at: datetime) -> bool:
        """Return True if this rule is for a caller at this local time."""
        if not fnmatchcase(caller.casefold() or HIDDEN, self.caller.casefold()):
            return False
        day, minute = at.weekday(), at.hour * 60 + at.minute
        if self.hours is None:
            return day in self.days
        first, end = self.hours
        if first < end:
            return day in self.days and first <= minute < end
        # Past midnight, the hours belong to the day before.
        before = (day - 1) % 7
        return (day in self.days and minute >= first) or (before in self.days and minute < end)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How phone calls are answered."""

    default: Action = "reject"
    code: int = DECLINE
    profile: str | None = None
    greeting: str = ""
    tools: tuple[str, ...] | None = None
    auto: frozenset[str] = frozenset()
    transfers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """`tel:` or `sip:` addresses by their names."""
    hang_up: bool = False
    at_once: int = 10
    minutes: float = 30.0
    timezone: ZoneInfo | None = None
    """Of the rules; None for that of the machine."""
    secret_command: str = ""
    rules: tuple[CallRule, ...] = ()

    @property
    def profiles(self) -> tuple[str | None, ...]:
        """The profiles of calls that may be accepted; None for the settings without one."""
        named = [rule.profile or self.profile for rule in self.rules if rule.action != "reject"]
        return tuple(dict.fromkeys([self.profile, *named]))


def read(place: SettingPlace, value: object) -> CallSettings | None:
    """Return the settings in the table; None without it. Raises `UsageError` for a wrong one."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise UsageError(f"{place(TABLE)} must be a table.", "Write [calls].")
    reader = TableReader(place.below(TABLE), value, {})
    reader.check_keys(KEYS, "a setting of calls")
    rules = value.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(each, dict) for each in rules):
        reader.refuse("rules", "must be tables", "Write [[calls.rules]] on a line.")
    if len(rules) > MAX_RULES:
        reader.refuse("rules", f"must be at most {MAX_RULES}")
    return CallSettings(
        default=_action(reader, "default", "reject"),
        code=_code(reader) or DECLINE,
        profile=_text(reader, "profile") or None,
        greeting=_text(reader, "greeting"),
        tools=tuple(reader.texts("tools")) if "tools" in value else None,
        auto=frozenset(reader.texts("auto")),
        transfers=_transfers(reader),
        hang_up=_switch(reader, "hang_up"),
        at_once=int(_number(reader, "at_once", 10, 500)),
        minutes=_number(reader, "minutes", 30, 600),
        timezone=_zone(reader),
        secret_command=_text(reader, "secret_command"),
        rules=tuple(_rule(place, each) for each in rules),
    )


def _rule(place: SettingPlace, table: dict[str, object]) -> CallRule:
    reader = TableReader(place.below(TABLE).below("rules"), table, {})
    reader.check_keys(RULE_KEYS, "a setting of a rule")
    if ("action" in table) is ("function" in table):
        reader.refuse("action", "or a function must be set, and not both")
    days = reader.texts("days")
    for day in days:
        if day.lower() not in DAYS:
            reader.refuse("days", f"must be a list of {', '.join(DAYS)}")
    return CallRule(
        action=_action(reader, "action", "reject") if "action" in table else None,
        function=_text(reader, "function"),
        caller=_text(reader, "caller") or "*",
        days=frozenset(DAYS.index(day.lower()) for day in days or DAYS),
        hours=_hours(reader),
        profile=_text(reader, "profile") or None,
        code=_code(reader),
        access=reader.one_of("access", ("files", "network", "all"), "files"),
    )


def _action(reader: TableReader, key: str, default: Action) -> Action:
    return "accept" if reader.one_of(key, ("accept", "reject"), default) == "accept" else "reject"


def _text(reader: TableReader, key: str) -> str:
    return reader.text(key).strip() if key in reader.table else ""


def _switch(reader: TableReader, key: str) -> bool:
    value = reader.table.get(key, False)
    if not isinstance(value, bool):
        reader.refuse(key, "must be true or false")
    return value


def _number(reader: TableReader, key: str, default: float, most: int) -> float:
    value = reader.table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= most:
        reader.refuse(key, f"must be between 1 and {most}")
    return float(value)


def _code(reader: TableReader) -> int | None:
    value = reader.table.get("code")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 699:
        reader.refuse("code", "must be a code of SIP between 400 and 699, such as 486 (busy)")
    return value


def _hours(reader: TableReader) -> tuple[int, int] | None:
    text = _text(reader, "hours")
    if not text:
        return None
    found = re.fullmatch(r"(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)", text)
    numbers = [int(each) for each in found.groups()] if found else []
    minutes = [60 * numbers[at] + numbers[at + 1] for at in (0, 2)] if numbers else []
    is_time = bool(numbers) and max(numbers[1], numbers[3]) < 60 and max(minutes) <= 24 * 60
    if not is_time or minutes[0] == minutes[1]:
        reader.refuse("hours", 'must be a time of day like "09:00-17:00"')
    return minutes[0], minutes[1]


def _zone(reader: TableReader) -> ZoneInfo | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    name = _text(reader, "timezone")
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        reader.refuse("timezone", 'must be the name of a time zone, such as "Europe/Berlin"')


def _transfers(reader: TableReader) -> dict[str, str]:
    table = reader.table.get("transfers", {})
    if not isinstance(table, dict):
        reader.refuse("transfers", "must be a table", "Write [calls.transfers] on a line.")
    for name, target in table.items():
        if not re.fullmatch(r"[A-Za-z0-9 _-]{1,40}", name):
            reader.refuse("transfers", "must have names of letters, digits and _")
        if not isinstance(target, str) or not is_target(target):
            reader.refuse("transfers", 'must hold addresses like "tel:+15551234567"')
    return dict(table)


def is_target(text: str) -> bool:
    """Return True for a `tel:` or `sip:` address that a call can be transferred to."""
    return re.fullmatch(r"(?:tel:\+?[0-9().-]{2,40}|sips?:[\x21-\x7e]{1,200})", text) is not None

"""Rules that allow, ask or forbid a call by its arguments, like `run_command: "git status*"`.

A pattern has the wildcards of a shell (`*`, `?`, `[abc]`) and covers the whole text of an argument.
`never` wins over the others; of `ask` and `auto`, the pattern with more literal characters wins,
and `ask` of equal ones. An `auto` rule covers only calls whose other arguments have their defaults.

A shell line is compared as its words: `git  "status"` is `git status`. An `auto` rule covers no
line of several commands, with a redirection or with an expansion; `ask` and `never` cover a line
when they cover one of its commands.
"""

from __future__ import annotations

import glob
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from voicechat.core.settings import Permission, PermissionRule

LIMIT = 20_000
"""Characters of arguments that are compared; longer ones ask."""

_OPERATORS = frozenset("();<>|&")
_EXPANSIONS = re.compile(r"[$`\n\r\0\\]")
"""Characters with which a shell changes a line, also within quotes."""

_ESCAPED = re.compile(r"\[([*?[])\]")
"""A character that `glob.escape` escaped."""

_WILDCARD = re.compile(r"\[[^\]]*\]|[*?]")


@dataclass(frozen=True, slots=True)
class ArgumentRules:
    """The rules of one tool."""

    rules: tuple[PermissionRule, ...]
    parameters: Mapping[str, object]
    """The JSON schema of the tool's arguments."""
    command: str = ""
    """The argument that is a shell line; empty without one."""

    def permission(self, arguments: str) -> Permission | None:
        """Return the permission of a call; None when no rule covers it."""
        if not self.rules:
            return None
        values = _values(arguments)
        if values is None:
            return Permission.ASK
        found = [rule for rule in self.rules if self._covers(rule, values)]
        if not found:
            return None
        return max(found, key=_rank).permission

    def pattern(self, arguments: str) -> str:
        """Return a pattern for exactly this call of a shell line; empty when none covers it."""
        values = _values(arguments) if self.command else None
        if values is None or not isinstance(values.get(self.command), str):
            return ""
        if not self._has_defaults(values, {self.command}):
            return ""
        words = simple_command(str(values[self.command]))
        return glob.escape(words) if words else ""

    def unknown_arguments(self) -> list[str]:
        """Return the arguments that a rule names and the tool does not have."""
        named = {name for rule in self.rules for name, _ in rule.patterns if name}
        return sorted(named - self._properties.keys())

    @property
    def _properties(self) -> Mapping[str, object]:
        found = self.parameters.get("properties")
        return found if isinstance(found, dict) else {}

    def _covers(self, rule: PermissionRule, values: Mapping[str, object]) -> bool:
        first = self.command or next(iter(self._properties), "")
        patterns = {name or first: pattern for name, pattern in rule.patterns}
        if rule.permission is Permission.AUTO and not self._has_defaults(values, patterns):
            return False
        return all(
            name in values and self._matches(rule.permission, name, values[name], pattern)
            for name, pattern in patterns.items()
        )

    def _matches(self, permission: Permission, name: str, value: object, pattern: str) -> bool:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if name != self.command:
            return fnmatchcase(text, pattern)
        if permission is Permission.AUTO:
            words = simple_command(text)
            return bool(words) and fnmatchcase(words, pattern)
        return any(fnmatchcase(each, pattern) for each in (text.strip(), *commands(text)))

    def _has_defaults(self, values: Mapping[str, object], named: Iterable[str]) -> bool:
        """Return True when every argument that is not named has its default."""
        for name in values.keys() - set(named):
            schema = self._properties.get(name)
            if not isinstance(schema, dict) or schema.get("default", ...) != values[name]:
                return False
        return True


def simple_command(line: str) -> str:
    """Return the words of a line that is one plain command; empty for any other line."""
    if _EXPANSIONS.search(line):
        return ""
    words = _words(line)
    if not words or any(_OPERATORS.issuperset(word) for word in words):
        return ""
    return shlex.join(words)


def commands(line: str) -> list[str]:
    """Return the words of each command in a line, as far as they can be read."""
    found: list[list[str]] = [[]]
    for part in re.split(r"[\n\r`]|\$\(", line):
        words = _words(part)
        for word in part.split() if words is None else words:
            if word and _OPERATORS.issuperset(word):
                found.append([])
            else:
                found[-1].append(word)
        found.append([])
    return [shlex.join(words) for words in found if words]


def is_allowed_pattern(pattern: str) -> bool:
    """Return True for a pattern that begins with the name of a program, not with a wildcard."""
    return bool(pattern) and not _WILDCARD.match(pattern) and not pattern[0].isspace()


def covers(pattern: str, exact: str) -> bool:
    """Return True when a pattern covers the command of which `exact` is the pattern."""
    return fnmatchcase(_ESCAPED.sub(r"\1", exact), pattern)


def specificity(rule: PermissionRule) -> int:
    """Return the number of literal characters in the patterns of a rule."""
    return sum(len(_WILDCARD.sub("", pattern)) for _, pattern in rule.patterns)


def _rank(rule: PermissionRule) -> tuple[bool, int, bool]:
    """Return what orders rules: the greatest one wins."""
    is_never = rule.permission is Permission.NEVER
    return is_never, specificity(rule), rule.permission is Permission.ASK


def _words(line: str) -> list[str] | None:
    """Split a line as a shell does, operators apart; None when a quote is not closed."""
    parser = shlex.shlex(line, posix=True, punctuation_chars="".join(_OPERATORS))
    parser.whitespace_split, parser.commenters = True, ""
    try:
        return list(parser)
    except ValueError:
        return None


def _values(arguments: str) -> dict[str, object] | None:
    """Parse the arguments; None when they are too long, no object, or name one twice."""
    if len(arguments) > LIMIT:
        return None

    def unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name appears twice")
        return dict(pairs)

    try:
        found = json.loads(arguments or "{}", object_pairs_hook=unique)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

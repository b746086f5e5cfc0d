"""One thing that was found out, and how a list of them is told."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from voicechat.core.text import clean
from voicechat.errors import Secret


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Works, or is not needed; good to know."""
    PROBLEM = "problem"
    """Something that was asked for cannot work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: whole sentences, and what to do about it where there is something to do."""

    level: Level
    title: str
    """Two or three words: what was looked at."""
    sentence: str
    remedy: str = ""


def ok(title: str, sentence: str, remedy: str = "") -> Finding:
    """All is well."""
    return Finding(Level.OK, title, sentence, remedy)


def note(title: str, sentence: str, remedy: str = "") -> Finding:
    """Good to know."""
    return Finding(Level.NOTE, title, sentence, remedy)


def problem(title: str, sentence: str, remedy: str) -> Finding:
    """It cannot work like this; `remedy` says how it can."""
    return Finding(Level.PROBLEM, title, sentence, remedy)


_COMMON_NAMES = frozenset(
    {
        *("root", "user", "admin", "home", "host", "localhost", "voicechat", "computer"),
        *("linux", "ubuntu", "debian", "fedora", "arch", "windows", "mac", "laptop", "desktop"),
    }
)
"""Names of users and machines that tell nothing, and stand in sentences of ours."""
_OWNER = re.compile(r"\b[^\W\d_]+['’]s(?= )")


class Privacy:
    """What must not leave the machine in a report that gets pasted into public places."""

    def __init__(
        self,
        home: str = "",
        names: Iterable[str] = (),
        secrets: Iterable[Secret] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        """`names` are the user's and this machine's, `hosts` those of the person's own servers."""
        self._home = home.rstrip("/\\")
        self._words = {
            **{secret.reveal(): "***" for secret in secrets if secret},
            **{host: "(your server)" for host in hosts if host},
        }
        wanted = (re.escape(n) for n in names if len(n) > 2 and n.lower() not in _COMMON_NAMES)
        self._names = re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(wanted) or '(?!)'})(?![^\W_])")

    def kept(self, text: str) -> str:
        """The text fit to be shown: clean, and without home folder, names, hosts and keys."""
        for word, instead in self._words.items():
            text = text.replace(word, instead)
        if self._home:
            text = text.replace(self._home, "~")
        return clean(self._names.sub("(hidden)", text))

    def unowned(self, name: str) -> str:
        """A device's name fit to be shown: `Anna's AirPods` become `Someone's AirPods`."""
        return self.kept(_OWNER.sub("Someone's", name))

    def keep(self, finding: Finding) -> Finding:
        """The finding with both its texts fit to be shown."""
        return replace(
            finding, sentence=self.kept(finding.sentence), remedy=self.kept(finding.remedy)
        )


_MARKS = {Level.OK: "ok", Level.NOTE: "note", Level.PROBLEM: "PROBLEM"}
_MARGIN = 9
_LEAST_COLUMNS = 30
"""Narrower than this a margin takes more than it gives."""


def as_text(findings: Sequence[Finding], columns: int = 0) -> str:
    """A line for each, its remedy below it, and the sum at the end. Words only, no colours.

    Longer lines than `columns` are broken, but for remedies with something to copy; 0 breaks none.
    """
    lines = []
    for finding in findings:
        mark = _MARKS[finding.level]
        lines.append(_broken(f"{mark:<{_MARGIN}}{finding.title}: {finding.sentence}", columns))
        if finding.remedy:
            # What follows a colon is a command or a list, and the terminal's own breaks vanish.
            width = 0 if ": " in finding.remedy else columns
            lines.append(_broken(f"{'':<{_MARGIN}}{finding.remedy}", width))
    return "\n".join([*lines, "", _sum(findings)])


def _broken(line: str, columns: int) -> str:
    """The line, at most so wide, with what goes on below the words and not below the mark."""
    if columns < _LEAST_COLUMNS:
        return line
    margin = " " * _MARGIN
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(findings: Sequence[Finding]) -> str:
    """An object with `usable` and the `findings`, each with level, title, sentence, remedy."""
    return json.dumps(
        {"usable": is_usable(findings), "findings": [asdict(each) for each in findings]},
        indent=2,
        ensure_ascii=False,
    )


def is_usable(findings: Iterable[Finding]) -> bool:
    """Whether there is no problem among them."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


def _sum(findings: Sequence[Finding]) -> str:
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if not problems:
        return "No problem was found."
    return "1 problem was found." if problems == 1 else f"{problems} problems were found."

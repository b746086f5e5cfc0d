"""A finding, the text and JSON of a list of them, and the removal of personal names."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from voicechat.core.text import clean
from voicechat.errors import Secret
from voicechat.system.text_table import counted


class FindingLevel(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    NOTE = "note"
    """It works or is not needed."""
    PROBLEM = "problem"
    """A feature that the user chose cannot work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation in whole sentences, with a remedy where one exists."""

    level: FindingLevel
    title: str
    """The subject, in one to three words."""
    sentence: str
    remedy: str = ""


def ok(title: str, sentence: str, remedy: str = "") -> Finding:
    """A finding without a problem."""
    return Finding(FindingLevel.OK, title, sentence, remedy)


def note(title: str, sentence: str, remedy: str = "") -> Finding:
    """A finding that is worth knowing."""
    return Finding(FindingLevel.NOTE, title, sentence, remedy)


def problem(title: str, sentence: str, remedy: str) -> Finding:
    """A finding that keeps something from working; `remedy` says what to do."""
    return Finding(FindingLevel.PROBLEM, title, sentence, remedy)


_COMMON_NAMES = frozenset(
    {
        *("root", "user", "admin", "home", "host", "localhost", "voicechat", "computer"),
        *("linux", "ubuntu", "debian", "fedora", "arch", "windows", "mac", "laptop", "desktop"),
    }
)
"""Names of users and machines that are not personal and occur in our sentences."""
_OWNER = re.compile(r"\b[^\W\d_]+['’]s(?= )")


class Privacy:
    """Removes personal names and keys from a report that users paste into public places."""

    def __init__(
        self,
        home: str = "",
        names: Iterable[str] = (),
        secrets: Iterable[Secret] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        """`names` are those of the user and this machine, `hosts` those of the user's servers."""
        self._home = home.rstrip("/\\")
        self._words = {
            **{secret.reveal(): "***" for secret in secrets if secret},
            **{host: "(your server)" for host in hosts if host},
        }
        wanted = (re.escape(n) for n in names if len(n) > 2 and n.lower() not in _COMMON_NAMES)
        self._names = re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(wanted) or '(?!)'})(?![^\W_])")

    def kept(self, text: str) -> str:
        """The text without control characters, home folder, names, hosts and keys."""
        for word, instead in self._words.items():
            text = text.replace(word, instead)
        if self._home:
            text = text.replace(self._home, "~")
        return clean(self._names.sub("(hidden)", text))

    def unowned(self, name: str) -> str:
        """The name of a device without its owner: `Anna's AirPods` becomes `Someone's AirPods`."""
        return self.kept(_OWNER.sub("Someone's", name))

    def keep(self, finding: Finding) -> Finding:
        """The finding with nothing personal in its texts."""
        return replace(
            finding, sentence=self.kept(finding.sentence), remedy=self.kept(finding.remedy)
        )


_MARKS = {FindingLevel.OK: "ok", FindingLevel.NOTE: "note", FindingLevel.PROBLEM: "PROBLEM"}
_MARGIN = 9
_LEAST_COLUMNS = 30
"""Lines are not broken on narrower terminals."""


def as_text(findings: Sequence[Finding], columns: int = 0) -> str:
    """One line per finding, its remedy below it, and the number of problems at the end.

    Lines are broken at `columns`, except remedies with a command to copy; 0 breaks none.
    """
    lines = []
    for finding in findings:
        mark = _MARKS[finding.level]
        lines.append(_broken(f"{mark:<{_MARGIN}}{finding.title}: {finding.sentence}", columns))
        if finding.remedy:
            # A colon precedes a command; line breaks would be copied with it.
            width = 0 if ": " in finding.remedy else columns
            lines.append(_broken(f"{'':<{_MARGIN}}{finding.remedy}", width))
    return "\n".join([*lines, "", _sum(findings)])


def _broken(line: str, columns: int) -> str:
    """The line, broken at `columns` and indented below its first words."""
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
    """True if no finding is a problem."""
    return all(finding.level is not FindingLevel.PROBLEM for finding in findings)


def _sum(findings: Sequence[Finding]) -> str:
    problems = sum(finding.level is FindingLevel.PROBLEM for finding in findings)
    return f"{counted(problems, 'problem')} found." if problems else "No problems found."

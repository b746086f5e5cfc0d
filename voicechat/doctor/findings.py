"""Findings, their text and JSON form, and the redaction of personal names."""

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
    """It works with a limitation, or nothing depends on it."""
    PROBLEM = "problem"
    """A feature that the user selected cannot work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation in complete sentences, with a remedy if one exists."""

    level: FindingLevel
    title: str
    """The subject, in one to three words."""
    sentence: str
    remedy: str = ""


def ok(title: str, sentence: str, remedy: str = "") -> Finding:
    """Return a finding that reports no problem."""
    return Finding(FindingLevel.OK, title, sentence, remedy)


def note(title: str, sentence: str, remedy: str = "") -> Finding:
    """Return a finding that is useful to know."""
    return Finding(FindingLevel.NOTE, title, sentence, remedy)


def problem(title: str, sentence: str, remedy: str) -> Finding:
    """Return a finding of something that cannot work, with the remedy."""
    return Finding(FindingLevel.PROBLEM, title, sentence, remedy)


_COMMON_NAMES = frozenset(
    {
        *("root", "user", "admin", "home", "host", "localhost", "voicechat", "computer"),
        *("linux", "ubuntu", "debian", "fedora", "arch", "windows", "mac", "laptop", "desktop"),
    }
)
"""Names of users and machines that are not personal and occur in findings."""
_OWNER_PATTERN = re.compile(r"\b[^\W\d_]+['’]s(?= )")


class Redactor:
    """Removes personal names and keys from a report, so that users can publish it."""

    def __init__(
        self,
        home: str = "",
        names: Iterable[str] = (),
        secrets: Iterable[Secret] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        """Redact `home`, `secrets`, `names` of the user and machine, and `hosts` of the user."""
        self._home = home.rstrip("/\\")
        self._replacements = {
            **{secret.reveal(): "***" for secret in secrets if secret},
            **{host: "(your server)" for host in hosts if host},
        }
        patterns = (re.escape(n) for n in names if len(n) > 2 and n.lower() not in _COMMON_NAMES)
        self._names = re.compile(rf"(?i)(?<![^\W_])(?:{'|'.join(patterns) or '(?!)'})(?![^\W_])")

    def redact(self, text: str) -> str:
        """Return the text without control characters, home folder, names, hosts and keys."""
        for word, replacement in self._replacements.items():
            text = text.replace(word, replacement)
        if self._home:
            text = text.replace(self._home, "~")
        return clean(self._names.sub("(hidden)", text))

    def redact_device_name(self, name: str) -> str:
        """Return a device name without its owner: "Someone's AirPods" for "Anna's AirPods"."""
        return self.redact(_OWNER_PATTERN.sub("Someone's", name))

    def redact_finding(self, finding: Finding) -> Finding:
        """Return the finding with redacted texts."""
        return replace(
            finding, sentence=self.redact(finding.sentence), remedy=self.redact(finding.remedy)
        )


_MARKS = {FindingLevel.OK: "ok", FindingLevel.NOTE: "note", FindingLevel.PROBLEM: "PROBLEM"}
_INDENT = 9
_MIN_COLUMNS = 30
"""Lines are not wrapped on narrower terminals."""


def as_text(findings: Sequence[Finding], columns: int = 0) -> str:
    """Return a line per finding, its remedy below it, and the number of problems at the end.

    Lines wrap at `columns`, except remedies with a command to copy; 0 disables wrapping.
    """
    lines = []
    for finding in findings:
        mark = _MARKS[finding.level]
        lines.append(_wrapped(f"{mark:<{_INDENT}}{finding.title}: {finding.sentence}", columns))
        if finding.remedy:
            # A colon precedes a command; line breaks would be copied with it.
            width = 0 if ": " in finding.remedy else columns
            lines.append(_wrapped(f"{'':<{_INDENT}}{finding.remedy}", width))
    return "\n".join([*lines, "", _summary(findings)])


def _wrapped(line: str, columns: int) -> str:
    """Return the line wrapped at `columns`, with continuation lines indented."""
    if columns < _MIN_COLUMNS:
        return line
    indent = " " * _INDENT
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON object: `usable`, and `findings` with level, title, sentence and remedy."""
    return json.dumps(
        {"usable": is_usable(findings), "findings": [asdict(each) for each in findings]},
        indent=2,
        ensure_ascii=False,
    )


def is_usable(findings: Iterable[Finding]) -> bool:
    """Return True if no finding is a problem."""
    return all(finding.level is not FindingLevel.PROBLEM for finding in findings)


def _summary(findings: Sequence[Finding]) -> str:
    problems = sum(finding.level is FindingLevel.PROBLEM for finding in findings)
    return f"{counted(problems, 'problem')} found." if problems else "No problems found."

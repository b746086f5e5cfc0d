"""A missing program skips a test, and fails it in CI."""

from __future__ import annotations

import pytest
from needs import need, needs

ABSENT = ("no-such-program-anywhere",)


def test_in_ci_a_missing_program_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=ABSENT[0]):
        need(ABSENT)
    assert needs(ABSENT).args == (False,), "the test runs"


def test_elsewhere_a_missing_program_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT[0]):
        need(ABSENT)
    assert needs(ABSENT).args == (True,)


def test_an_installed_program_changes_nothing() -> None:
    need(("sh",))
    assert needs(("sh",)).args == (False,)

"""A missing program skips a test, and fails it in CI."""

from __future__ import annotations

import pytest
from needs import need, needs

ABSENT = ("no-such-program-anywhere",)


def test_in_ci_an_absent_program_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=ABSENT[0]):
        need(ABSENT)
    assert needs(ABSENT).args == (False,), "the test runs"


def test_elsewhere_it_is_a_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=ABSENT[0]):
        need(ABSENT)
    assert needs(ABSENT).args == (True,)


def test_what_is_there_is_no_obstacle() -> None:
    need(("sh",))
    assert needs(("sh",)).args == (False,)

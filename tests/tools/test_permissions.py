"""Permissions of tools: settings, approvals and the tool itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from concurrent_edits import edit_at_once

from voicechat.core.settings import Permission
from voicechat.tools.functions import tool
from voicechat.tools.permissions import Approvals, effective, permitted


@tool(permission="ask")
def water(plant: str) -> str:
    """Water a plant."""
    return plant


@tool(permission="ask", asks_always=True)
def burn(plant: str) -> str:
    """Burn a plant."""
    return plant


def watered_otherwise() -> object:
    @tool(permission="ask", name="water")
    def other(plant: str) -> str:
        """Water a plant with acid."""
        return plant

    return other


def test_settings_override_approvals_and_approvals_override_the_tool(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals.json")
    assert effective(water, {}, approvals) is Permission.ASK
    assert approvals.allow(water)
    assert effective(water, {}, approvals) is Permission.AUTO
    assert effective(water, {"water": Permission.NEVER}, approvals) is Permission.NEVER
    assert effective(water, {"water": Permission.ASK}, approvals) is Permission.ASK


def test_an_approval_outlives_the_program_until_it_is_revoked(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "approvals.json"
    Approvals(path).allow(water)
    assert path.stat().st_mode & 0o077 == 0
    again = Approvals(path)
    assert [(kept.name, kept.source) for kept in again] == [("water", "built in")]
    assert again.allows(water)
    assert again.revoke("water")
    assert not again.revoke("water")
    assert not Approvals(path).allows(water)


def test_an_approval_revoked_by_another_process_stays_revoked(tmp_path: Path) -> None:
    path = tmp_path / "approvals.json"
    approvals = Approvals(path)
    approvals.allow(water)
    Approvals(path).revoke("water")
    approvals.allow(watered_otherwise())  # type: ignore[arg-type]
    assert not approvals.allows(water)
    assert len(list(Approvals(path))) == 1


def test_a_changed_tool_of_the_same_name_is_not_approved(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals.json")
    approvals.allow(water)
    assert not approvals.allows(watered_otherwise())  # type: ignore[arg-type]


def test_a_tool_that_always_asks_never_runs_without_asking(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals.json")
    assert not approvals.allow(burn)
    assert effective(burn, {"burn": Permission.AUTO}, approvals) is Permission.ASK
    assert effective(burn, {"burn": Permission.NEVER}, approvals) is Permission.NEVER
    [spec] = permitted([burn], {}, approvals)
    assert (spec.permission, spec.source, spec.asks_always) == (Permission.ASK, "built in", True)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'[{"name":"water"}]', b"\xff"])
def test_a_broken_file_approves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "approvals.json"
    path.write_bytes(content)
    approvals = Approvals(path)
    assert list(approvals) == []
    assert approvals.allow(water)
    assert Approvals(path).allows(water)


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
def test_a_file_that_others_can_write_approves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "approvals.json"
    assert Approvals(path).allow(water)
    assert Approvals(path).allows(water)
    path.chmod(0o622)
    assert not Approvals(path).allows(water)


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b'[{"name": 1}]', b"[" * 2_000_000])
def test_a_file_that_was_tampered_with_approves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "approvals.json"
    path.write_bytes(content)
    path.chmod(0o600)
    assert list(Approvals(path)) == []


_ALLOW = """
from voicechat.tools.functions import tool
from voicechat.tools.permissions import Approvals

approvals = Approvals(path, wait_s=60)

def edit(number):
    def run() -> str:
        'Run.'
        return ""
    approvals.allow(tool(name=f"{name}_{number}")(run))
"""


def test_two_processes_lose_no_approval(tmp_path: Path) -> None:
    path = tmp_path / "approvals.json"
    edit_at_once(path, ("one", "two"), _ALLOW)
    names = {kept.name for kept in Approvals(path)}
    assert names == {f"{name}_{number}" for name in ("one", "two") for number in range(60)}

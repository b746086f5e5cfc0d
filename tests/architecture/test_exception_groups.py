"""Errors of task groups reach the user as themselves, on every Python that is supported."""

from __future__ import annotations

import ast

from tests.architecture.structure import modules
from voicechat.errors import ConnectError, VoicechatError, first_error


def raises_in_clauses(tree: ast.AST) -> list[int]:
    """Return the lines that raise an error inside an `except*` clause."""
    return [
        inner.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.TryStar)
        for clause in node.handlers
        for inner in ast.walk(clause)
        if isinstance(inner, ast.Raise) and inner.exc is not None
    ]


def test_clause_that_raises_is_found() -> None:
    code = (
        "try:\n    pass\nexcept* ValueError as group:\n    if group:\n        raise group from None"
    )
    assert raises_in_clauses(ast.parse(code)) == [5]


def test_no_module_raises_inside_a_clause() -> None:
    # Python before 3.11.4, as in Debian 12, wraps it in a group that nothing else catches.
    found = {
        name: raises_in_clauses(ast.parse(path.read_text(encoding="utf-8")))
        for name, path in modules().items()
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_task_group_leaves_no_request_to_cancel() -> None:
    # `recording` closes only a player of its own after its group.
    found = [name for name, path in modules().items() if "asyncio.TaskGroup()" in path.read_text()]
    assert found == ["voicechat.recording.replayed_session"]


def test_first_error_of_nested_groups() -> None:
    inner = ConnectError("It is off.")
    group = ExceptionGroup("", [ExceptionGroup("", [inner]), VoicechatError("Another.")])
    assert first_error(group) is inner

"""Slash commands with which a user at a terminal allows and denies what tools do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, TypeVar

from voicechat.core.inputs import Decision
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.core.items import ToolCall
    from voicechat.session.session import Session


class _Numbered(Protocol):
    number: int


N = TypeVar("N", bound=_Numbered)


def _chosen(waiting: Iterable[N], name: str, argument: str, noun: str) -> tuple[N, str]:
    """Return the one with the number that begins the argument, and the rest of the argument."""
    first, _, rest = argument.partition(" ")
    numbered = {str(each.number): each for each in waiting}
    if not numbered:
        raise UsageError(f"No {noun} is waiting.")
    if first not in numbered:
        choices = " or ".join(f"{name} {each}" for each in numbered)
        raise UsageError(f"{name} takes the number of a waiting {noun}.", f"Type {choices}.")
    return numbered[first], rest.strip()


def _waiting_call(session: Session, name: str, argument: str) -> tuple[ToolCall, str]:
    return _chosen(session.asking, name, argument, "tool")


def allow(session: Session, argument: str) -> str:
    """Allow a waiting call once, or its tool for the session."""
    call, rest = _waiting_call(session, "/allow", argument)
    if rest not in {"", "session"}:
        raise UsageError("/allow takes a number, and “session” to allow more of the same.")
    lasting = bool(rest) and not call.asks_always
    session.decide(call.call_id, call.arguments, Decision.SESSION if lasting else Decision.ONCE)
    return f"{call.name} may run {'until this conversation ends' if lasting else 'once'}."


def always(session: Session, argument: str) -> str:
    """Always allow the tool of a waiting call, or the commands that match a pattern."""
    call, rest = _waiting_call(session, "/always", argument)
    if call.pattern:
        return _allow_pattern(session, call, rest or call.pattern)
    if rest:
        raise UsageError("/always takes a number and nothing else.")
    if call.asks_always or call.server:
        raise UsageError(f"{call.name} cannot always be allowed.", "/allow allows it once.")
    session.decide(call.call_id, call.arguments, Decision.ALWAYS)
    return f"{call.name} may always run; voicechat tools --revoke {call.name} reverts that."


def _allow_pattern(session: Session, call: ToolCall, pattern: str) -> str:
    from voicechat.tools.permission_rules import covers, is_allowed_pattern

    if not is_allowed_pattern(pattern):
        raise UsageError("A pattern must begin with the name of a program.")
    if not covers(pattern, call.pattern):
        raise UsageError(f"“{pattern}” does not cover this command.", f"It is {call.pattern}")
    session.decide(call.call_id, call.arguments, Decision.ALWAYS, pattern)
    return (
        f"{call.name} may always run “{pattern}”;"
        f" voicechat tools --revoke {call.name} reverts that."
    )


def deny(session: Session, argument: str) -> str:
    """Deny a waiting call, with an optional reason."""
    call, words = _waiting_call(session, "/deny", argument)
    session.decide(call.call_id, call.arguments, Decision.DENY, words)
    return f"{call.name} will not run."


def allow_mcp_server(session: Session, name: str) -> str:
    """Allow an MCP server to start."""
    if not name:
        raise UsageError("/let takes the name of an MCP server.")
    session.allow_server(name)
    return f"The MCP server {name} may run."


def answer(session: Session, argument: str) -> str:
    """Answer a question of an MCP server."""
    question, text = _chosen(session.questions, "/answer", argument, "question")
    session.answer_question(question.number, text)
    return ""


def decline(session: Session, argument: str) -> str:
    """Decline to answer a question of an MCP server."""
    question, _ = _chosen(session.questions, "/decline", argument, "question")
    session.decline_question(question.number)
    return ""


def deny_unattended(session: Session, call: ToolCall) -> None:
    """Deny a call because no user is present."""
    reason = "No user is present to approve it."
    session.decide(call.call_id, call.arguments, Decision.DENY, reason)

"""The `approve` callback of a program decides on tool calls."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from voicechat.core.effects import Level
from voicechat.core.inputs import Decision
from voicechat.core.text import clean
from voicechat.session.client_checks import shown
from voicechat.session.client_events import ApprovalRequest, ProblemEvent

APPROVE_S = 300.0
"""Seconds that an `approve` callback may take; then the call is denied."""

DENIED = "The program that runs this session does not allow the call."
"""The text for the model when a call is denied."""

Verdict = bool | Decision
Approve = Callable[[ApprovalRequest], Verdict | Awaitable[Verdict]]
"""Decides on a tool call: True allows this call, False denies it, a `Decision` says more."""


async def decision_on(
    request: ApprovalRequest, approve: Approve | None
) -> tuple[Decision, ProblemEvent | None]:
    """The decision of the callback, and what went wrong with it.

    An exception, a missed deadline and any other answer deny the call.
    """
    if approve is None:
        return Decision.DENY, None
    try:
        async with asyncio.timeout(APPROVE_S) as deadline:
            answer = approve(request)
            verdict = await answer if inspect.isawaitable(answer) else answer
    except Exception as error:
        problem = f"failed: {type(error).__name__}: {error}"
        if deadline.expired():
            problem = f"did not answer within {APPROVE_S:g} seconds"
    else:
        if isinstance(verdict, Decision):
            return verdict, None
        if isinstance(verdict, bool):
            return Decision.ONCE if verdict else Decision.DENY, None
        problem = f"returned {shown(verdict)}"
    text = clean(f"{request.name} is denied because approve {problem}.")
    hint = "Return True, False or a voicechat.Decision."
    return Decision.DENY, ProblemEvent(text, hint, Level.ERROR)

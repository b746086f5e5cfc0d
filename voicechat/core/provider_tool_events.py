"""Events about tools that the provider fetches from an MCP server and runs itself.

These calls are shown like any other, but they do not run here and have no result to send. At
most, the user is asked for approval. These are events like those in `events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core.items import ToolState


@dataclass(frozen=True, slots=True)
class RemoteTools:
    """Progress of fetching a server's list of tools."""

    item_id: str
    server: str = ""
    """The server's label; empty until it is known."""
    tools: tuple[str, ...] = ()
    """Names of the tools, once they are known."""
    done: bool = False
    """True if this is the last event of the list."""
    error: str | None = None
    """Reason why there is no list; only with `done`."""


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """State of a call that the provider runs: everything known so far.

    `state` is STREAMING while the model writes the arguments, RUNNING while the server works, and
    DONE or FAILED at the end. `response_id` is empty if the frame did not contain it.
    """

    item_id: str
    response_id: str = ""
    server: str = ""
    name: str = ""
    arguments: str = ""
    state: ToolState = ToolState.STREAMING
    output: str | None = None
    """Result of the server once done; None if not reported."""
    error: str | None = None
    approval_id: str | None = None
    """The `RemoteApproval` that allowed it."""


@dataclass(frozen=True, slots=True)
class RemoteApproval:
    """The provider requests approval of a call; answer with `AnswerApproval`.

    The request ends the response; the provider continues by itself after the answer.
    """

    item_id: str
    """Identifies the request in the answer."""
    response_id: str
    server: str
    name: str
    arguments: str

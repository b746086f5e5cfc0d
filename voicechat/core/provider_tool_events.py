"""Events about tools that a provider fetches from an MCP server and runs itself.

Nothing is run here and no result is sent: such a call is shown like any other, and at most the
person's leave is asked for. These are events like those in `events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from voicechat.core.items import ToolState


@dataclass(frozen=True, slots=True)
class RemoteTools:
    """Progress of fetching a server's list of tools."""

    item_id: str
    server: str = ""
    """The server's label; empty while it was not said."""
    tools: tuple[str, ...] = ()
    """The names in the list, once it is there."""
    done: bool = False
    """Nothing more comes of it."""
    error: str | None = None
    """Why there is no list; only with `done`."""


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """State of a call that the provider runs: all that is known so far.

    `state` is STREAMING while the model still writes the arguments, RUNNING while the server
    works, DONE or FAILED in the end. `response_id` is empty where the frame did not say it.
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
    """The `RemoteApproval` that let it run."""


@dataclass(frozen=True, slots=True)
class RemoteApproval:
    """The provider asks whether it may run a call; answer with `AnswerApproval`.

    It ends its response with this, and goes on by itself when it has the answer.
    """

    item_id: str
    """Names the request in the answer."""
    response_id: str
    server: str
    name: str
    arguments: str

"""Web pages that a server needs the user to visit before it runs a call.

Such a call is refused with the error -32042, which names the pages (MCP 2025-11-25, section
Elicitation, "URL mode"). The user opens each page from a card. The call is sent again once the
server reports the end of the visit, or once the user says so: not every server reports it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voicechat.system.task_group import TaskGroup
from voicechat.tools.mcp.mcp_elicitation import elicit
from voicechat.tools.question import Questions
from voicechat.tools.registry import ToolError

if TYPE_CHECKING:
    import mcp_types as types
    from mcp.shared.exceptions import MCPError

MOST_PAGES = 3
"""Pages that one call may need."""


class PageVisits:
    """The pages that calls of one connection wait for."""

    def __init__(self, source: str, questions: Questions | None) -> None:
        """Prepare the visits. `questions` shows the cards; None if no user is present."""
        self._source = source
        self._questions = questions
        self._ends: dict[str, asyncio.Event] = {}

    def ended(self, elicitation_id: str) -> None:
        """Note that the server reports the end of a visit."""
        if elicitation_id in self._ends:
            self._ends[elicitation_id].set()

    async def visit(self, problem: MCPError) -> bool:
        """Let the user visit the pages that a refused call needs; False if it needs none.

        Raises `ToolError` when the user does not.
        """
        pages = _pages(problem)
        if not pages or self._questions is None:
            return False
        if len(pages) > MOST_PAGES:
            raise ToolError(f"The {self._source} needs too many visits to web pages.")
        for page in pages:
            await self._visit(page, self._questions)
        return True

    async def _visit(self, page: types.ElicitRequestURLParams, questions: Questions) -> None:
        # The server may report the end before the browser is open.
        name = page.elicitation_id or page.url
        end = self._ends.setdefault(name, asyncio.Event())
        try:
            accepted = (await elicit(questions, self._source, page)).action == "accept"
            if not accepted or not await self._is_over(end, questions):
                raise ToolError(
                    f"The {self._source} needs a visit to a web page first. The user did not do it."
                )
        finally:
            self._ends.pop(name, None)

    async def _is_over(self, end: asyncio.Event, questions: Questions) -> bool:
        """Wait for the end of a visit; False when the user gives up."""
        async with TaskGroup() as tasks:
            reported = tasks.create_task(end.wait())
            said = tasks.create_task(
                questions.ask(self._source, "Are you done on the page? Then it goes on.")
            )
            await asyncio.wait({reported, said}, return_when=asyncio.FIRST_COMPLETED)
            reported.cancel()
            said.cancel()
        return end.is_set() or said.result().action == "accept"


def _pages(problem: MCPError) -> list[types.ElicitRequestURLParams]:
    """Return the pages that an error names; none for another error."""
    from mcp import UrlElicitationRequiredError
    from mcp_types import URL_ELICITATION_REQUIRED

    if problem.code != URL_ELICITATION_REQUIRED:
        return []
    try:
        return UrlElicitationRequiredError.from_error(problem.error).elicitations
    except (ValueError, AttributeError, TypeError):
        return []

"""Notes and lists in voicechat's own notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from voicechat.errors import VoicechatError
from voicechat.skills import lists
from voicechat.skills.notebook import Notebook
from voicechat.skills.undo_stack import Record, no_record
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 40

_MAX_CHARACTERS = 2_000


class Notes:
    """The user's notebook."""

    def __init__(self, folder: Path | None, record: Record = no_record) -> None:
        """Open the notebook in a folder; without one it lasts for the session.

        record: called with the inverse of each change.
        """
        self._notebook = Notebook(folder / "notebook.json" if folder else None, record=record)

    def add_note(self, text: str) -> str:
        """Keep a note for the user. text: the note."""
        return self._do(lists.add_note, _checked(text))

    def read_notes(self) -> str:
        """Read the notes that are kept, the newest last."""
        return self._do(lists.read_notes)

    def delete_note(self, text: str = "") -> str:
        """Delete a note. text: words that are in it; empty: the newest note."""
        return self._do(lists.drop_note, text)

    def add_to_list(self, items: str, list_name: str = "") -> str:
        """Add to a list. items: what, with commas between. list_name: like shopping or to do."""
        return self._do(lists.add, _checked(items), list_name)

    def read_list(self, list_name: str = "") -> str:
        """Read what is on a list. list_name: like shopping or to do."""
        return self._do(lists.read, list_name)

    def remove_from_list(self, items: str, list_name: str = "") -> str:
        """Take things off a list. items: what, with commas between. list_name: like shopping."""
        return self._do(lists.remove, _checked(items), list_name)

    def clear_list(self, list_name: str = "") -> str:
        """Empty a list. list_name: like shopping or to do."""
        return self._do(lists.clear, list_name)

    def _do(self, act: Callable[..., str], *arguments: str) -> str:
        """Act on the notebook; turn its errors into `ToolError`."""
        try:
            said = act(self._notebook, *arguments)
        except VoicechatError as problem:
            raise ToolError(problem.message) from None
        return f"{said} {self._notebook.take_warning()}".rstrip()


def _checked(text: str) -> str:
    plain = " ".join(text.split())
    if not plain:
        raise ToolError("The text is empty.")
    if len(plain) > _MAX_CHARACTERS:
        raise ToolError(f"That is too long: {_MAX_CHARACTERS} characters at most.")
    return plain


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tools of the notebook."""
    notes = Notes(context.kept, context.undo_stack.record)
    functions = (
        notes.add_note, notes.read_notes, notes.delete_note,
        notes.add_to_list, notes.read_list, notes.remove_from_list, notes.clear_list,
    )  # fmt: skip
    return tuple(tool(permission="auto")(function) for function in functions)

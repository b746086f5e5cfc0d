"""The user's own editor for a message: its command, and the file that it edits."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from voicechat.core.text import clean
from voicechat.errors import UsageError, VoicechatError
from voicechat.system.foreground_program import ForegroundProgram
from voicechat.system.secret_variables import open_environment

MAX_BYTES = 256 * 1024
"""Most bytes of a message that are read back."""
_FALLBACKS = ("notepad",) if sys.platform == "win32" else ("sensible-editor", "nano", "vim", "vi")


def editor_command(environ: Mapping[str, str]) -> list[str]:
    """Return the words of the editor's command: VISUAL, EDITOR, or a common editor.

    Raises `UsageError` if there is none, or if it cannot be read.
    """
    for variable in ("VISUAL", "EDITOR"):
        if text := environ.get(variable, "").strip():
            try:
                words = shlex.split(text, posix=sys.platform != "win32")
            except ValueError:
                raise UsageError(f"{variable} cannot be read.", "Check its quotes.") from None
            if shutil.which(words[0]) is None:
                name = clean(words[0])[:40]
                raise UsageError(f"The editor {name} is not installed.", f"Change {variable}.")
            return words
    for name in _FALLBACKS:
        if found := shutil.which(name):
            return [found]
    raise UsageError("There is no editor.", "Set EDITOR to the command of one.")


class MessageEditor:
    """One message in the user's editor. Call `edit` on a thread; `stop` ends the editor."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._command = editor_command(os.environ)
        self._program: ForegroundProgram | None = None

    def edit(self) -> str:
        """Run the editor on a private file with the text; return the new text, cleaned.

        Raises `VoicechatError` if the editor cannot start or fails; the text did not change then.
        """
        with tempfile.TemporaryDirectory(prefix="voicechat-") as folder:  # only the user reads it
            path = Path(folder) / "message.md"
            path.write_text(self._text, encoding="utf-8", errors="replace")
            self._program = ForegroundProgram((*self._command, str(path)), open_environment())
            try:
                code = self._program.run()
            except OSError as error:
                raise self._failure(f"cannot start: {error.strerror}") from None
            if code:
                raise self._failure(f"ended with the code {code}")
            try:
                with path.open("rb") as file:
                    raw = file.read(MAX_BYTES + 1)
            except OSError as error:
                raise self._failure(f"left no readable text: {error.strerror}") from None
        if len(raw) > MAX_BYTES:
            raise self._failure(f"left more than {MAX_BYTES // 1024} KB")
        return clean(raw.decode("utf-8", "replace")).rstrip("\n")

    def stop(self) -> None:
        """End the editor."""
        if self._program is not None:
            self._program.stop()

    def _failure(self, what: str) -> VoicechatError:
        name = clean(self._command[0])[:40]
        return VoicechatError(f"{name} {what}.", "The message is unchanged.")

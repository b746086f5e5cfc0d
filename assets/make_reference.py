"""Write docs/commands.md and the key table of README.md from the code.

Run `make pictures` after changing a command, an option, a slash command or a key.
`tests/architecture/test_docs.py` fails while the files differ from the code.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout
from pathlib import Path
from unittest.mock import patch

from voicechat.cli import app
from voicechat.line_mode import slash_commands
from voicechat.tui import keys

ROOT = Path(__file__).resolve().parents[1]

INTRO = """\
# Commands

This page is generated from the code; run `make pictures` to update it.

## Slash commands

Type them like a message: on the screen, with `--plain` and in a pipe. You can also ask for most
of them in words: “speak slower”, “mute the microphone”, “what tools do you have”.

"""

EXIT_CODES = """\
## Exit codes

| Code | Meaning |
|---|---|
| 0 | success |
| 1 | unexpected error, a piped line without an answer, or a problem found by `doctor` |
| 2 | wrong option or setting |
| 3 | missing or rejected key |
| 4 | no server at the address, or the provider does not serve your account, region or model |
| 5 | connection lost for good |
| 6 | no usable sound |
| 7 | the embedded voice could not start |
| 8 | a budget is used up |
| 128 + n | ended by signal n: 130 is Ctrl-C, 141 means that the reader of the output is gone |
"""


def help_of(*command: str) -> str:
    """The help text of a command, 100 columns wide."""
    shown = io.StringIO()
    with redirect_stdout(shown), patch.dict(os.environ, COLUMNS="100"):
        code = app.main([*command, "--help"])
    if code:
        raise RuntimeError(f"{command} has no help")
    return shown.getvalue().strip()


def commands_in(help_text: str) -> list[str]:
    """The names of the commands that a help text lists."""
    listed = help_text.partition("\nCommands:\n")[2]
    return re.findall(r"^  (\w[\w-]*)  ", listed, flags=re.M)


def reference(*command: str) -> str:
    """The help of a command and of all commands below it, as Markdown."""
    text = help_of(*command)
    title = " ".join(["voicechat", *command])
    parts = [f"## `{title}`\n\n```text\n{text}\n```\n"]
    parts += [reference(*command, name) for name in commands_in(text)]
    return "\n".join(parts)


def commands_page() -> str:
    """The whole of docs/commands.md."""
    return f"{INTRO}{slash_commands.markdown()}\n{reference()}\n{EXIT_CODES}"


def readme(text: str) -> str:
    """The README with the current table of keys."""
    table = r"\| Key \| What it does \|\n(?:\|.*\n)+"
    return re.sub(table, lambda _: keys.markdown(), text)


def main() -> None:
    """Write both files."""
    (ROOT / "docs" / "commands.md").write_text(commands_page(), encoding="utf-8")
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

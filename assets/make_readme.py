"""Write the help texts and the tables of keys and commands into README.md, where they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from voicechat.line_mode import slash_commands
from voicechat.tui import keys

README = Path(__file__).resolve().parents[1] / "README.md"


def help_of(*command: str) -> str:
    """What the command says of itself, 100 columns wide."""
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", *command, "--help"],
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def main() -> None:
    """Replace every block that begins with a usage line, and both tables."""
    text = README.read_text(encoding="utf-8")

    def renew(block: re.Match[str]) -> str:
        words = block[1].split()
        return f"```text\n{help_of(*words)}\n```"

    text = re.sub(r"```text\nUsage: voicechat((?: [a-z]+)*) [\[A-Z].*?```", renew, text, flags=re.S)
    for head, table in (("Key", keys.markdown()), ("Command", slash_commands.markdown())):
        text = re.sub(rf"\| {head} \| What it does \|\n(?:\|.*\n)+", lambda _, new=table: new, text)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

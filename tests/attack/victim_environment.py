"""Folders and variables of the attacked programs, with keys in them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from attack_log import AttackLog
from hostile_wire import KEY
from on_terminal import private_environment

VARIABLES = ("OPENAI_API_KEY", "XAI_API_KEY", "GEMINI_API_KEY", "AI_GATEWAY_API_KEY")


def victim_folder(log: AttackLog) -> Path:
    """Return a new folder for the files of a program; it is searched for keys at the end."""
    folder = Path(tempfile.mkdtemp(dir=log.folders[0]))
    (folder / "home").mkdir()
    return folder


def victim_environment(log: AttackLog, folder: Path | None = None) -> dict[str, str]:
    """Return an environment with keys and with all files in the folder, or in a new one."""
    folder = folder or victim_folder(log)
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "CACHE")}
    return private_environment(folder) | home | dict.fromkeys(VARIABLES, KEY)

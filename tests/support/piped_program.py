"""The program as a process of its own that reads a pipe, without settings of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


async def typed(folder: Path, line: str, *flags: str) -> tuple[int, str, str]:
    """Pipe one line through `voicechat --text`; return its exit code, output and errors.

    folder: for its files; its settings are `CONFIG/voicechat/config.toml`.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOICECHAT_", "OPENAI_", "COV_")) and not name.endswith("_KEY")
    }
    for name in ("CONFIG", "STATE", "DATA", "CACHE"):
        environ[f"XDG_{name}_HOME"] = str(folder / name)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voicechat", "--text", *flags),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    async with asyncio.timeout(50):
        out, errors = await process.communicate(f"{line}\n".encode())
    assert process.returncode is not None
    assert b"Traceback" not in errors
    return process.returncode, out.decode(), errors.decode()

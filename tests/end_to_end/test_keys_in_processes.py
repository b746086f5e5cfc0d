"""No other program of the user finds a key in a process of a running voicechat."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from on_terminal import ended, private_environment
from unprivileged import running, unprivileged

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc is a part of Linux"),
]

KEY = "sk-planted-process-0123456789abcdef"
KEYS = ("OPENAI_API_KEY", "XAI_API_KEY", "GEMINI_API_KEY", "VOICECHAT_CHAT_KEY", "MY_PASSWORD")

READER = """
import json, re, sys
key, found = sys.argv[1].encode(), {}
for pid in sys.argv[2:]:
    found[pid] = []
    for name in ("cmdline", "environ", "maps"):
        try:
            text = open(f"/proc/{pid}/{name}", "rb").read()
        except OSError:
            continue
        if key in text:
            found[pid].append(name)
        ranges = re.findall(rb"(?m)^(\\w+)-(\\w+) rw-p", text) if name == "maps" else ()
        for start, end in ranges:
            try:
                memory = open(f"/proc/{pid}/mem", "rb", 0)
                memory.seek(int(start, 16))
                if key in memory.read(int(end, 16) - int(start, 16)):
                    found[pid].append("mem")
            except (OSError, ValueError, OverflowError):
                continue
print(json.dumps(found))
"""


def readable(*pids: int) -> dict[str, list[str]]:
    """Return where a program without capabilities finds the key in these processes."""
    command = unprivileged(sys.executable, "-I", "-S", "-c", READER, KEY, *map(str, pids))
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_the_reader_finds_a_key_in_a_process_without_protection(tmp_path: Path) -> None:
    code = "import os; key = os.environ['A']; print('up', flush=True); input()"
    with running(sys.executable, "-I", "-c", code, env={"A": KEY}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert set(readable(process.pid)[str(process.pid)]) == {"environ", "mem"}


def test_a_running_conversation_shows_no_key(tmp_path: Path) -> None:
    environ = private_environment(tmp_path) | dict.fromkeys(KEYS, KEY)
    environ["HTTPS_PROXY"] = f"http://user:{KEY}@127.0.0.1:9"
    command = (sys.executable, "-m", "voicechat", "--text", "--model", "local")
    with running(*command, env=environ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b"what is 17 times 23\n")
        program.stdin.flush()
        assert b"391" in program.stdout.readline()
        app = psutil.Process(program.pid)
        family = [app, *app.children(recursive=True)]
        assert len(family) >= 2, "the app and the embedded voice"
        assert readable(*(each.pid for each in family)) == {str(each.pid): [] for each in family}
        program.stdin.close()
        program.wait(20)
    assert not ended(family, 5)

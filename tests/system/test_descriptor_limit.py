"""A lack of file descriptors is one line in the log."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.system.descriptor_limit import INTERVAL_S, SENTENCE, DescriptorFilter

SERVER = """
import asyncio, logging, resource, socket, sys
from voicechat.system.descriptor_limit import DescriptorFilter

seen = []

async def main():
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [socket.socket() for _ in range(8)]
    limit = clients[-1].fileno() + 3
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    for client in clients:
        client.setblocking(False)
        client.connect_ex(address)
    while not seen:
        await asyncio.sleep(0)

logging.basicConfig(stream=sys.stderr)
(handler,) = logging.getLogger().handlers
handler.addFilter(lambda record: seen.append(record) or True)
if sys.argv[1:] == ["filtered"]:
    handler.addFilter(DescriptorFilter())
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_NOFILE")
@pytest.mark.parametrize("filtered", [True, False])
def test_a_server_without_descriptors_writes_one_line(filtered: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SERVER, *(["filtered"] if filtered else [])],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    if filtered:
        assert ended.stderr == f"ERROR:asyncio:{SENTENCE}\n"
    else:
        assert "Traceback" in ended.stderr


def test_a_line_is_repeated_after_a_minute_and_other_records_stay() -> None:
    now = [0.0]
    checked = DescriptorFilter(lambda: now[0])

    def passes(error: BaseException) -> tuple[bool, str]:
        info = (type(error), error, None)
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed %d", (1,), info)
        return checked.filter(record), record.getMessage()

    full = OSError(errno.EMFILE, "Too many open files")
    assert passes(ExceptionGroup("", [ExceptionGroup("", [full])])) == (True, SENTENCE)
    assert passes(full)[0] is False
    assert passes(ValueError()) == (True, "failed 1")
    now[0] = INTERVAL_S
    assert passes(OSError(errno.ENFILE, "")) == (True, SENTENCE)

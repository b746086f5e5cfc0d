"""A web server for files that misbehaves on request: cuts, lies about lengths, ignores ranges.

It also serves as an HTTP proxy: a request for any host gets the file with the same path.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class FileServer(ThreadingHTTPServer):
    """Serve `files` by path; `requests` collects the path and the Range header of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Get)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.hosts: list[str] = []
        self.has_ranges = True
        self.sends_length = True
        self.cuts: list[int] = []
        """Bytes after which each of the next connections breaks."""
        self.statuses: list[int] = []
        """Statuses of the next answers."""
        self.redirects: dict[str, str] = {}
        self.range_offset = 0
        """Error in the range that the server sends."""
        self.hold: threading.Event | None = None
        """Stops each answer in the middle of its file until it is set."""

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Run a server on a free port of this machine."""
    with FileServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            if running.hold is not None:
                running.hold.set()
            running.shutdown()
            thread.join()


class _Get(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the file, or with the next fault."""
        target = urlsplit(self.path)
        wanted = self.headers.get("Range", "")
        self.server.requests.append((target.path, wanted))
        self.server.hosts.append(target.hostname or "")
        if self.server.statuses and (status := self.server.statuses.pop(0)) != 200:
            self._answer(status, b"")
        elif target.path in self.server.redirects:
            self._answer(302, b"", Location=self.server.redirects[target.path])
        elif target.path not in self.server.files:
            self._answer(404, b"<html>nothing here</html>")
        else:
            self._send(self.server.files[target.path], wanted)

    def _send(self, content: bytes, wanted: str) -> None:
        found = re.fullmatch(r"bytes=(\d+)-", wanted)
        if found is None or not self.server.has_ranges:
            self._answer(200, content)
            return
        start = int(found[1]) + self.server.range_offset
        if start >= len(content):
            self._answer(416, b"")
            return
        shown = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(206, content[start:], **{"Content-Range": shown})

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.sends_length:
            self.send_header("Content-Length", str(len(content)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if status not in {200, 206}:
            self.wfile.write(content)
            return
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        middle = len(content) // 2 if self.server.hold else 0
        self.wfile.write(content[:middle])
        self.wfile.flush()
        if self.server.hold is not None:
            self.server.hold.wait(30)
        self.wfile.write(content[middle:cut])
        if cut is not None:
            self.connection.shutdown(socket.SHUT_WR)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

"""The embedded server as a child process, with a one-time token.

The child is `voicechat serve --port 0`. Its standard output is one JSON line {"url", "token"}. Its
standard error reports progress in JSON lines {"progress", "done"}, engines that fail in JSON lines
{"warning"}, and otherwise text for the user. Its standard input is a pipe with one line, its keys.
The pipe closes when this process ends in any way, and the child then ends because of
VOICECHAT_PARENT_WATCH.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable

from voicechat.config.options import SETTINGS, Options
from voicechat.core.text import clean
from voicechat.errors import Secret, ServerError
from voicechat.system import child_process, process_secrecy
from voicechat.system.secret_variables import proxies_with_passwords

READY_LIMIT = 64 * 1024
"""Longest line of the child, in bytes; a longer one is not from our server."""
_WARNING_CHARACTERS = 600


_ENGINE_SETTINGS = tuple(name for name, setting in SETTINGS.items() if setting.is_engine)


class LocalServer:
    """One embedded server. Call `start` once, `stop` always."""

    def __init__(
        self,
        options: Options,
        on_progress: Callable[[str], None] = lambda text: None,
        command: tuple[str, ...] = (),
        on_warning: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Prepare the server.

        `on_progress` gets short texts, `on_warning` a sentence when an engine failed, at any time.
        `command` replaces the command of the server.
        """
        self._options = options
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._command = command or child_process.module_command("voicechat", "serve")
        self._child: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[None] | None = None
        self._last_error = ""
        self._extend: Callable[[], None] = lambda: None
        """Gives the child, which makes progress, its whole time again."""

    @property
    def running(self) -> bool:
        """True while the child runs."""
        return self._child is not None and child_process.runs(self._child)

    async def start(self, deadline: float = 20.0) -> tuple[str, Secret]:
        """Start the child and wait until it is ready; return its WebSocket address and token.

        Raises `ServerError` if it ends early, prints something else or makes no progress for
        `deadline` seconds; the child is stopped in these cases.
        """
        token = Secret(secrets.token_urlsafe(32))
        try:
            async with asyncio.timeout(deadline) as limit:
                self._extend = lambda: _extend(limit, deadline)
                await self._spawn(token)
                url = await self._read_address()
        except TimeoutError:
            await self.stop()
            raise ServerError(
                f"The embedded voice was not ready within {deadline:.0f} s.", self._last_error
            ) from None
        except BaseException:
            await self.stop()
            raise
        finally:
            self._extend = lambda: None
        return url, token

    async def stop(self) -> None:
        """Stop the child within a second; safe to call at any time and repeatedly."""
        child, self._child = self._child, None
        if child is None:
            return
        await child_process.stop(child)
        if self._errors is not None:
            self._errors.cancel()
            await asyncio.wait({self._errors}, timeout=0.1)

    async def _spawn(self, token: Secret) -> None:
        try:
            command = (*self._command, *self._arguments())
            environment = self._environment()
            self._child = await child_process.start(command, environment, limit=READY_LIMIT)
            assert self._child.stdin is not None
            self._child.stdin.write(process_secrecy.piped(self._keys(token)))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ServerError(f"The embedded voice could not start: {reason}.") from None
        self._errors = asyncio.create_task(self._follow_errors(self._child), name="server-errors")

    def _keys(self, token: Secret) -> dict[str, str]:
        """Return the token, the keys of the child's engines and proxies with a password."""
        found = proxies_with_passwords(os.environ)
        options = self._options
        for variable, address, key in (
            ("VOICECHAT_CHAT_KEY", options.chat_url, options.chat_key),
            ("VOICECHAT_STT_KEY", options.stt, options.stt_key),
            ("VOICECHAT_TTS_KEY", options.tts, options.tts_key),
        ):
            if address and key is not None:
                found[variable] = key.reveal()
        return found | {"VOICECHAT_SERVE_TOKEN": token.reveal()}

    def _environment(self) -> dict[str, str]:
        """Return the child's environment, without keys."""
        return child_process.module_environment() | {
            process_secrecy.KEYS_ON_INPUT: "1",
            "VOICECHAT_PARENT_WATCH": "1",
            "VOICECHAT_USER_NOTEBOOK": "1",
            "VOICECHAT_WARM_SPEECH": "1" if self._options.with_sound else "0",
            "VOICECHAT_FORBIDDEN_TOOLS": " ".join(self._options.forbidden_tools),
        }

    def _arguments(self) -> list[str]:
        found = ["--port", "0"]
        for name in _ENGINE_SETTINGS:
            if value := getattr(self._options, name):
                found += [SETTINGS[name].flag, value]
        return found

    async def _read_address(self) -> str:
        assert self._child is not None
        assert self._child.stdout is not None
        try:
            line = await self._child.stdout.readline()
        except ValueError:  # longer than READY_LIMIT
            line = b"?"
        if not line:
            if self._errors is not None:
                await asyncio.wait({self._errors}, timeout=0.5)
            raise ServerError("The embedded voice ended while starting.", self._last_error)
        try:
            ready = json.loads(line)
            url = ready["url"]
        except (ValueError, TypeError, KeyError, RecursionError):
            url = None
        if not isinstance(url, str) or not url.startswith("ws://127.0.0.1:"):
            raise ServerError("The embedded voice did not report its address.", self._last_error)
        return url

    async def _follow_errors(self, child: asyncio.subprocess.Process) -> None:
        """Read standard error to its end, so that the child never blocks on it."""
        assert child.stderr is not None
        while True:
            try:
                line = await child.stderr.readline()
            except ValueError:
                continue
            if not line:
                return
            found = _fields(line)
            if progress := _progress(found):
                self._extend()
                self._on_progress(progress)
            elif warning := clean(str(found.get("warning", "")))[:_WARNING_CHARACTERS]:
                self._on_warning(warning)
            elif line.strip():
                words = line.decode("utf-8", "replace").strip().removeprefix("voicechat: ")
                self._last_error = clean(words)[:300]


def _extend(limit: asyncio.Timeout, deadline: float) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time() + deadline)


def _fields(line: bytes) -> dict[str, object]:
    """Return the fields of a line of JSON; empty if it is none."""
    if not line.startswith(b"{"):
        return {}
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _progress(fields: dict[str, object]) -> str | None:
    """Return the text of a progress line; None if it is not one."""
    part, done = fields.get("progress"), fields.get("done")
    if not isinstance(part, str) or not isinstance(done, int | float):
        return None
    return f"Loading the {clean(part)[:40]}: {min(max(done, 0.0), 1.0):.0%}"

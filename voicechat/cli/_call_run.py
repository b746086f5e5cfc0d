"""The work of the commands `voicechat calls …`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voicechat.cli.command import load_options, say
from voicechat.config.call_settings import CallSettings
from voicechat.config.joined_call import JoinedCall
from voicechat.core.text import clean
from voicechat.errors import CallEnded, KeyMissing, Secret, UsageError
from voicechat.system import exit_deadline

if TYPE_CHECKING:
    from voicechat.calls.call_control import CallControl
    from voicechat.config.options import Options
    from voicechat.line_mode.line_writer import LineWriter
    from voicechat.session.session import Session

SECRET = "OPENAI_WEBHOOK_SECRET"
"""The variable, or the key in `[keys]`, with the secret of the webhook."""

_DRAIN_S = 1.0

_MISSING = "Type: pip install 'voicechat[calls]'"


def listen(flags: dict[str, object], where: dict[str, Any]) -> int:
    """Receive calls until a signal; return the exit code. where: fields of `ListenOptions`."""
    try:
        from voicechat.calls.app import ListenOptions, WebhookEndpoint, serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("voicechat"):
            raise
        raise UsageError("Phone calls need a part that is not installed.", _MISSING) from None
    from voicechat.line_mode.line_writer import LineWriter

    known = load_options(flags)
    settings = _call_settings(known)
    profiles = _profiles(flags, known, settings)
    out, err = LineWriter(sys.stdout), LineWriter(sys.stderr)
    warn = _writer(err, "voicechat: ")
    endpoint = WebhookEndpoint(
        ListenOptions(**where),
        profiles,
        settings,
        _secret(known, settings),
        _writer(out),
        warn,
        lambda name: load_options({**flags, "profile": name}),
    )
    try:
        return serve(endpoint, warn)
    finally:
        exit_deadline.run(_drained(out, err))


async def _drained(*writers: LineWriter) -> None:
    """Wait until the lines are written, unless their reader has stopped."""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_DRAIN_S):
            for writer in writers:
                await writer.drained()


def _writer(out: LineWriter, prefix: str = "") -> Callable[[str], None]:
    def write(line: str) -> None:
        # A reader that is gone does not end the calls.
        with suppress(OSError):
            out.write(f"{prefix}{clean(line)}\n")

    return write


def _call_settings(options: Options) -> CallSettings:
    return options.calls or CallSettings()


def _profiles(
    flags: dict[str, object], known: Options, settings: CallSettings
) -> Mapping[str | None, Options]:
    """Return the options of each profile that a call may have. Raises `UsageError`."""
    typed = flags.get("profile")
    named = {
        name: load_options({**flags, "profile": name}) if name else known
        for name in settings.profiles
    }
    for options in named.values():
        for sentence in options.warnings:
            say(sentence)
    return named if typed is None else {**named, settings.profile: known, None: known}


def _secret(options: Options, settings: CallSettings) -> Secret:
    """Return the secret of the webhook. Raises `KeyMissing` without one."""
    found = options.key(SECRET)
    if found is None and settings.secret_command:
        from voicechat.session.token_command import printed_by

        printed = exit_deadline.run(printed_by(settings.secret_command)).strip()
        found = Secret(printed) if printed else None
    if found is None:
        raise KeyMissing(
            "The secret of the webhook is not set, so no call can be verified.",
            f"Set {SECRET}, or secret_command in [calls].",
        )
    return found


# --------------------------------------------------------------------------- one call


def control(
    flags: dict[str, object], call_id: str, act: Callable[[CallControl], Awaitable[None]]
) -> int:
    """Send one request about a call; return the exit code."""
    from voicechat.calls.call_control import CallControl

    options = load_options(flags)

    async def send() -> None:
        await act(CallControl(options, JoinedCall(call_id)))

    exit_deadline.run(send())
    return 0


def accept(flags: dict[str, object], call_id: str, *, detach: bool) -> int:
    """Answer a call, and run its session until it is over; return the exit code."""
    if detach:
        return control(flags, call_id, lambda call: call.accept())
    from voicechat.calls.answered_call import AnsweredCall
    from voicechat.line_mode.line_writer import LineWriter
    from voicechat.server.shutdown import stop_requested

    known = load_options(flags)
    settings = _call_settings(known)
    options = _profiles(flags, known, settings)[settings.profile]
    call = JoinedCall(call_id)
    out = LineWriter(sys.stdout)

    async def run() -> int:
        answered = AnsweredCall(call, options, settings, _writer(out), say, rejects=False)
        with stop_requested(parent_watch=False) as stopped:
            running = asyncio.ensure_future(answered.run())
            waiting = asyncio.ensure_future(stopped.wait())
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not running.done():
                await answered.end()
                running.cancel()
                await asyncio.wait({running})
            else:
                running.result()
        await _drained(out)
        return 0

    return exit_deadline.run(run())


def watch(flags: dict[str, object], call_id: str, *, plain: bool, console: bool) -> int:
    """Show a running call on the screen, or line by line; return the exit code."""
    from voicechat.calls.call_control import CallControl, call_options
    from voicechat.session.session import Session

    call = JoinedCall(call_id, watches=True)
    options = replace(call_options(load_options(flags), call), history=False, tools=())
    session = Session(options)
    session.hang_up_call = CallControl(options, call).hang_up
    try:
        return _show(session, options, plain=plain, console=console)
    except CallEnded as ended:
        if not session.was_joined:
            raise
        say(ended.message)
        return 0


def _show(session: Session, options: Options, *, plain: bool, console: bool) -> int:
    from voicechat.cli.talk import prepare_screen
    from voicechat.system import terminal_guard

    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if on_terminal and not plain and not terminal_guard.is_dumb():
        prepare_screen()
        from voicechat.tui.keys import checked_keymap
        from voicechat.tui.screen_start import run

        keymap = checked_keymap(options.keymap, lambda each: options.origin(f"keymap.{each}"))
        return run(session, options.theme, console=console, keymap=keymap, notifies=options.notify)
    from voicechat.line_mode.app import follow

    return follow(session, console=console)

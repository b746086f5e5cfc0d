"""`voicechat` without a command: talk, on the screen, line by line or in a pipe."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import (
    CONSOLE,
    SHOW_CODE,
    Text,
    flag,
    load_options,
    print_program,
    say,
)
from voicechat.config.options import typed
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.history.stored_conversation import StoredConversation

LAST = "."
"""What `--continue` resumes: the last conversation."""


def talk(
    context: typer.Context,
    with_sound: Annotated[bool, flag("with_sound")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line instead of a screen, for screen readers.")
    ] = False,
    console: Annotated[bool, CONSOLE] = False,
    model: Annotated[Text, flag("model")] = None,
    voice: Annotated[Text, flag("voice")] = None,
    instructions: Annotated[Text, flag("instructions")] = None,
    input_device: Annotated[Text, flag("input_device")] = None,
    output_device: Annotated[Text, flag("output_device")] = None,
    push_to_talk: Annotated[bool, flag("push_to_talk")] = False,
    barge_in: Annotated[Text, flag("barge_in")] = None,
    echo_cancel: Annotated[bool, flag("echo_cancel")] = False,
    noise_suppression: Annotated[bool, flag("noise_suppression")] = False,
    gain_control: Annotated[bool, flag("gain_control")] = False,
    earcons: Annotated[bool, flag("earcons")] = False,
    theme: Annotated[Text, flag("theme")] = None,
    resume: Annotated[
        Text,
        typer.Option(
            metavar="[ID]",
            help="Continue a conversation of the history; without ID, choose one.",
            autocompletion=values.conversations,
        ),
    ] = None,
    continue_last: Annotated[
        bool, typer.Option("--continue", help="Continue the last conversation.")
    ] = False,
    history: Annotated[bool, flag("history")] = False,
    notify: Annotated[bool, flag("notify")] = False,
    record: Annotated[Text, flag("record")] = None,
    budget: Annotated[Text, flag("budget")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    wire: Annotated[Text, flag("wire")] = None,
    transport: Annotated[Text, flag("transport")] = None,
    ice_servers: Annotated[Text, flag("ice_servers")] = None,
    token: Annotated[bool, flag("token")] = False,
    token_url: Annotated[Text, flag("token_url")] = None,
    token_command: Annotated[Text, flag("token_command")] = None,
    stt: Annotated[Text, flag("stt")] = None,
    stt_model: Annotated[Text, flag("stt_model")] = None,
    stt_language: Annotated[Text, flag("stt_language")] = None,
    tts: Annotated[Text, flag("tts")] = None,
    tts_model: Annotated[Text, flag("tts_model")] = None,
    tts_voice: Annotated[Text, flag("tts_voice")] = None,
    chat_url: Annotated[Text, flag("chat_url")] = None,
    chat_model: Annotated[Text, flag("chat_model")] = None,
    local_chat: Annotated[bool, flag("local_chat")] = False,
    show_code: Annotated[bool, SHOW_CODE] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Show the version and exit.")
    ] = False,
) -> int:
    """Talk with a realtime speech model in your terminal, out loud or by typing.

    Without a key or a network, the embedded voice answers. Flags override environment variables,
    which override the settings file.
    """
    if version:
        from voicechat import __version__

        typer.echo(f"voicechat {__version__}")
        return 0
    flags = typed(context.params)
    if context.invoked_subcommand is None:
        if show_code:
            return print_program(flags)
        wanted = LAST if continue_last and resume is None else resume
        if continue_last and resume is not None:
            raise UsageError("--resume and --continue exclude each other.", "Use one of them.")
        return _talk(flags, plain=plain, console=console, resume=wanted)
    if plain or console or flags or show_code or resume is not None or continue_last:
        raise UsageError(
            f"Options of {context.invoked_subcommand!r} must follow its name.",
            f"See voicechat {context.invoked_subcommand} --help.",
        )
    return 0


def _talk(flags: dict[str, object], *, plain: bool, console: bool, resume: str | None) -> int:
    from voicechat.config import remembered_devices, unkept_files
    from voicechat.system import memory_limit, terminal_guard

    options = remembered_devices.with_devices(_loaded(flags), flags, device_name)
    if unkept := unkept_files.warning():
        keeps = options.history and not unkept_files.loses_state()
        options = replace(options, history=keeps, warnings=(*options.warnings, unkept))
    if options.with_sound and (low := memory_limit.sound_warning()):
        options = replace(options, warnings=(*options.warnings, low))
    stored = None
    if resume:
        from voicechat.cli._resumption import with_its_model
        from voicechat.history import history_calls

        stored = history_calls.load(None if resume == LAST else resume)
        options = with_its_model(options, stored.row)
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if on_terminal and not plain and not terminal_guard.is_dumb():
        return _show_screen(options, stored, picks=resume == "", console=console)
    _require_id(resume)
    if options.theme is not None:
        from voicechat.tui.themes import require_theme

        require_theme(options.theme)
    if plain or on_terminal:
        if not plain:
            say("This terminal cannot show a screen. Using --plain.")
        from voicechat.line_mode.app import converse

        return converse(options, stored=stored, console=console)
    if options.with_sound:
        raise UsageError(
            "Standard input is not a terminal.",
            "Use --text to answer the lines of a pipe, or --plain to talk.",
        )
    from voicechat.line_mode.app import answer_lines

    return answer_lines(options, stored=stored, console=console)


def _require_id(resume: str | None) -> None:
    if resume == "":
        raise UsageError(
            "--resume needs the id of a conversation here.", "voicechat history lists them."
        )


def _loaded(flags: dict[str, object]) -> Options:
    """Load the options. On the first start on a terminal, offer to set them up."""
    from voicechat.cli import _first_start

    options = load_options(flags)
    if _first_start.is_due(options) and _first_start.offer(options):
        return load_options(flags)
    return options


def _show_screen(
    options: Options, stored: StoredConversation | None, *, picks: bool, console: bool
) -> int:
    prepare_screen()
    from voicechat.line_mode.slash_commands import app_commands
    from voicechat.recording.recorded_session import open_session
    from voicechat.session.key_mask import KeyMask
    from voicechat.tui.composer_history import ComposerHistory, history_path
    from voicechat.tui.keys import checked_keymap
    from voicechat.tui.screen_start import run

    keymap = checked_keymap(options.keymap, lambda action: options.origin(f"keymap.{action}"))
    path = history_path() if options.history else None
    session = open_session(options, app_commands, stored)
    try:
        return run(
            session,
            options.theme,
            shows_history=picks,
            console=console,
            keymap=keymap,
            notifies=options.notify,
            sent=ComposerHistory(path, KeyMask(options).text),
        )
    finally:
        if session.losses:
            say(session.losses)


def prepare_screen() -> None:
    """Prepare the terminal for a screen, and start the process that restores it at the end."""
    from voicechat.system import terminal_guard

    if not sys.stderr.isatty():
        # The screen is drawn on standard error, which may be redirected.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    terminal_guard.guard()


def device_name(kind: str, number: str) -> str | None:
    """The name of the "input" or "output" device with this number; None when there is none."""
    from voicechat.audio.devices.device_probe import named_device

    return named_device(kind, number)

"""`voicechat doctor`: diagnose sound and network problems."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Annotated

import typer

from voicechat.cli.command import JSON, CommandEntry, load_options, say
from voicechat.errors import VoicechatError


def doctor(
    quick: Annotated[
        bool, typer.Option("--quick", help="Skip the chirp and the embedded voice.")
    ] = False,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also open a session with the chosen provider.")
    ] = False,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """Diagnose sound and network problems, and suggest what to do.

    Listens for a second and plays a short chirp. Takes about six seconds. The report shows no
    keys and no personal names. Exits with 1 when there is a problem.
    """
    import shutil

    from voicechat.doctor import checkup, findings
    from voicechat.system import exit_deadline

    with suppress(VoicechatError):
        load_options()  # the checkup runs on a loop, where the keyring is not read
    if sys.stderr.isatty():
        say("Listening for a second…" if quick else "Listening for a second, then playing a chirp…")
    found = exit_deadline.run(checkup.check_up(quick=quick, connect=connect))
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    typer.echo(findings.as_json(found) if as_json else findings.as_text(found, columns))
    return 0 if findings.is_usable(found) else 1


COMMAND = CommandEntry(30, "doctor", "Diagnose sound and network problems.", doctor)

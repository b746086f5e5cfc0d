"""`voicechat calls …`: answer phone calls, and control or watch one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from voicechat.cli.command import CONSOLE, CommandEntry, Text, flag
from voicechat.config.options import typed

app = typer.Typer(
    add_completion=False,
    help="Answer phone calls with a realtime model, and control or watch one.",
    rich_markup_mode=None,
)

COMMAND = CommandEntry(94, "calls", "Answer phone calls, and control or watch one.", app)

_ID = typer.Argument(metavar="ID", help="Id of the call, like rtc_0123 or live_0123.")


@app.command(short_help="Receive the webhook of the provider, and answer calls.")
def listen(
    context: typer.Context,
    model: Annotated[Text, flag("model")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
    history: Annotated[bool, flag("history")] = False,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Port; 0 picks a free one.")
    ] = 8770,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Accept other machines.")
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Certificate chain (PEM), for TLS."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="Private key (PEM), if in another file."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Proxy in front, which names the clients (repeat)."),
    ] = None,
) -> int:
    """Receive the webhook of the provider, and answer the calls that the settings accept.

    The table [calls] decides which calls are answered, with which profile, and which tools they
    have; without it, every call is rejected. Prints each message of a call as a line.

    POST /webhook takes the webhook. The provider must reach it: a tunnel or a proxy to this machine
    is your own. OPENAI_WEBHOOK_SECRET holds the secret of the webhook.

    Needs: pip install 'voicechat[calls]'
    """
    from voicechat.cli import _call_run

    where = {
        "host": host, "port": port, "allow_remote": allow_remote, "tls_cert": tls_cert,
        "tls_key": tls_key, "proxies": tuple(proxy or ()),
    }  # fmt: skip
    return _call_run.listen(typed(context.params), where)


@app.command(short_help="Answer a call, and run its session.")
def accept(
    context: typer.Context,
    call_id: Annotated[str, _ID],
    detach: Annotated[
        bool, typer.Option("--detach", help="Only answer: without tools and transcripts here.")
    ] = False,
    model: Annotated[Text, flag("model")] = None,
    voice: Annotated[Text, flag("voice")] = None,
    instructions: Annotated[Text, flag("instructions")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
    history: Annotated[bool, flag("history")] = False,
) -> int:
    """Answer a call, and run its session until it is over: tools, limits and transcripts.

    The table [calls] of the settings applies, apart from its rules.
    """
    from voicechat.cli import _call_run

    return _call_run.accept(typed(context.params), call_id, detach=detach)


@app.command(short_help="Reject a call.")
def reject(
    context: typer.Context,
    call_id: Annotated[str, _ID],
    code: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=400, max=699, help="Code of SIP, such as 486 (busy)."),
    ] = 603,
    model: Annotated[Text, flag("model")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
) -> int:
    """Reject a call that rings."""
    from voicechat.cli import _call_run

    return _call_run.control(typed(context.params), call_id, lambda call: call.reject(code))


@app.command(short_help="Transfer a call to another phone.")
def refer(
    context: typer.Context,
    call_id: Annotated[str, _ID],
    target: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="tel:+15551234567 or sip:NAME@HOST."),
    ],
    model: Annotated[Text, flag("model")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
) -> int:
    """Transfer a call to another phone."""
    from voicechat.cli import _call_run

    return _call_run.control(typed(context.params), call_id, lambda call: call.refer(target))


@app.command(short_help="End a call.")
def hangup(
    context: typer.Context,
    call_id: Annotated[str, _ID],
    model: Annotated[Text, flag("model")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
) -> int:
    """End a call."""
    from voicechat.cli import _call_run

    return _call_run.control(typed(context.params), call_id, lambda call: call.hang_up())


@app.command(short_help="Watch a running call, and steer it.")
def watch(
    context: typer.Context,
    call_id: Annotated[str, _ID],
    plain: Annotated[
        bool, typer.Option("--plain", help="Line by line instead of a screen, for screen readers.")
    ] = False,
    console: Annotated[bool, CONSOLE] = False,
    model: Annotated[Text, flag("model")] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    theme: Annotated[Text, flag("theme")] = None,
) -> int:
    """Watch a running call on the screen: both transcripts, and the tools that run elsewhere.

    A typed line is an instruction for the model, Escape silences it, and /hangup ends the call. To
    leave does not end the call. There is no sound here.
    """
    from voicechat.cli import _call_run

    return _call_run.watch(typed(context.params), call_id, plain=plain, console=console)

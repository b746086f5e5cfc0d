"""`voicechat setup-endpoint`: tokens and tools for web pages."""

from __future__ import annotations

from typing import Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli._listening_options import Host, Port, TlsCert, TlsKey
from voicechat.cli.command import CommandEntry, Text, flag, load_options
from voicechat.errors import UsageError

Texts = list[str] | None


def setup_endpoint(
    context: typer.Context,
    model: Annotated[
        Text,
        typer.Option(
            metavar="PROVIDER/MODEL",
            help="Model of the tokens; local with --base-url for voicechat serve.",
            autocompletion=values.models,
        ),
    ] = None,
    base_url: Annotated[Text, flag("base_url")] = None,
    voice: Annotated[Text, flag("voice")] = None,
    instructions: Annotated[Text, flag("instructions")] = None,
    profile: Annotated[Text, flag("profile")] = None,
    budget: Annotated[Text, flag("budget")] = None,
    seconds: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", help="Seconds in which a token can open sessions."),
    ] = None,
    socket_url: Annotated[
        Text,
        typer.Option("--socket-url", metavar="URL", help="Address that clients connect to."),
    ] = None,
    tool: Annotated[
        Texts,
        typer.Option(
            metavar="NAME",
            help="Give this tool an address of its own (repeat).",
            autocompletion=values.own_tools,
        ),
    ] = None,
    origin: Annotated[
        Texts,
        typer.Option(
            metavar="ORIGIN", help="Web page that may use it, like https://app.example (repeat)."
        ),
    ] = None,
    login_url: Annotated[
        Text,
        typer.Option(
            "--login-url", metavar="URL", help="Address that answers 2xx to cookies of a login."
        ),
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Accept everyone on this machine, to try it.")
    ] = False,
    host: Host = "127.0.0.1",
    port: Port = 8760,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Accept other machines.")
    ] = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    proxy: Annotated[
        Texts,
        typer.Option(metavar="ADDRESS", help="Proxy in front, which names the clients (repeat)."),
    ] = None,
    rate: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=1, max=10_000, help="Tokens per minute and client."),
    ] = 10,
    tool_rate: Annotated[
        int,
        typer.Option(
            "--tool-rate",
            metavar="NUMBER",
            min=1,
            max=10_000,
            help="Calls of a tool per minute and client.",
        ),
    ] = 60,
    token_minutes: Annotated[
        float,
        typer.Option(
            "--token-minutes",
            metavar="NUMBER",
            min=0.1,
            max=1_440,
            help="Minutes as which a token counts in the budget.",
        ),
    ] = 5.0,
) -> int:
    """Serve short-lived tokens, and tools, for web pages: the setup endpoint of the AI SDK.

    POST /api/realtime/setup with {"sessionConfig": …} returns {token, url, expiresAt, tools}. Each
    --tool has an address of its own, POST /tools/NAME. Keys stay here.

    Prints one JSON line when ready, with the addresses and the token that clients must send as
    bearer. The token is new for each run, unless VOICECHAT_SETUP_TOKEN sets it. With --login-url,
    the cookies of a login are enough: a proxy of yours decides.

    Needs: pip install 'voicechat[setup-endpoint]'
    """
    import os

    from voicechat.config.options import typed
    from voicechat.errors import Secret
    from voicechat.server.web_origin import web_origins

    try:
        from voicechat.setup_endpoint.app import serve
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("voicechat"):
            raise
        raise UsageError(
            "The setup endpoint needs a part that is not installed.",
            "Type: pip install 'voicechat[setup-endpoint]'",
        ) from None
    from voicechat.setup_endpoint.endpoint_options import TOKEN_VARIABLE, EndpointOptions

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    options = EndpointOptions(
        host=host,
        port=port,
        allow_remote=allow_remote,
        tls_cert=tls_cert,
        tls_key=tls_key,
        token=Secret(token) if token else None,
        login_url=login_url,
        is_open=no_auth,
        origins=web_origins(origin or ()),
        proxies=tuple(proxy or ()),
        tools=tuple(tool or ()),
        seconds=seconds,
        socket_url=socket_url,
        tokens_per_minute=rate,
        calls_per_minute=tool_rate,
        token_minutes=token_minutes,
    )
    return serve(load_options(typed(context.params)), options)


COMMAND = CommandEntry(
    92, "setup-endpoint", "Serve tokens and tools for web pages.", setup_endpoint
)

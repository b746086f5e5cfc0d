"""`voicechat history`: list, search, show, export and delete the conversations of the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import JSON, CommandEntry, Text, say
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.history.history_reader import FoundConversation

app = typer.Typer(add_completion=False, rich_markup_mode=None)

COMMAND = CommandEntry(15, "history", "List, search and export past conversations.", app)

_ID = typer.Argument(
    metavar="ID",
    help="Id of a conversation, or its beginning.",
    autocompletion=values.conversations,
)
_LIMIT = typer.Option("--limit", metavar="N", min=1, max=100_000, help="Most conversations.")


@app.callback(invoke_without_command=True)
def history(context: typer.Context, as_json: Annotated[bool, JSON] = False) -> int:
    """List the last conversations: id, time, messages of the user, model and title.

    The history is a file of yours on this machine. --no-history keeps a conversation out of it.
    """
    if context.invoked_subcommand is None:
        return _print_found(None, 50, as_json)
    if as_json:
        raise UsageError(
            f"Options of {context.invoked_subcommand!r} must follow its name.",
            f"See voicechat history {context.invoked_subcommand} --help.",
        )
    return 0


@app.command("list", short_help="List the last conversations.")
def list_conversations(
    limit: Annotated[int, _LIMIT] = 50, as_json: Annotated[bool, JSON] = False
) -> int:
    """List the last conversations, the newest first."""
    return _print_found(None, limit, as_json)


@app.command(short_help="Search all conversations.")
def search(
    words: Annotated[
        list[str], typer.Argument(metavar="WORDS", help="Words; the last may be incomplete.")
    ],
    limit: Annotated[int, _LIMIT] = 50,
    as_json: Annotated[bool, JSON] = False,
) -> int:
    """List the conversations in which a message, a tool call or the title has all the words."""
    return _print_found(" ".join(words), limit, as_json)


@app.command(short_help="Print a conversation.")
def show(name: Annotated[str, _ID], as_json: Annotated[bool, JSON] = False) -> int:
    """Print a conversation. Marks what was cut before you heard it."""
    typer.echo(_document(name, "json" if as_json else "txt"), nl=False)
    return 0


@app.command(short_help="Write a conversation as a document.")
def export(
    name: Annotated[str, _ID],
    form: Annotated[
        str, typer.Option("--format", metavar="KIND", help="md, json, html, txt or srt.")
    ] = "md",
    output: Annotated[
        Text, typer.Option(metavar="FILE", help="File to create; default standard output.")
    ] = None,
) -> int:
    """Write a conversation as Markdown, JSON, HTML, text or subtitles."""
    from voicechat.history.history_export import FORMATS

    if form not in FORMATS:
        raise UsageError(f"--format must be one of {', '.join(FORMATS)}.")
    document = _document(name, form)
    if output is None:
        typer.echo(document, nl=False)
    else:
        from voicechat.history.history_calls import write_document

        write_document(output, document)
    return 0


@app.command(short_help="Delete conversations.")
def delete(names: Annotated[list[str], _ID]) -> int:
    """Delete conversations permanently. What they cost stays in the record of usage."""
    from voicechat.history import history_edits, history_reader
    from voicechat.history.database import opened
    from voicechat.history.open_conversations import refuse_if_open

    with opened() as connection:
        rows = [history_reader.conversation_named(connection, name) for name in names]
        for row in rows:
            refuse_if_open(row.id, f'"{row.title}"')
            history_edits.purge(connection, row.id)
            say(f'Deleted "{row.title}".')
    return 0


@app.command(short_help="Delete old conversations.")
def prune(
    keep: Annotated[
        Text,
        typer.Option(
            "--keep", metavar="AGE", help="Age to keep, such as 90 days; see docs/settings.md."
        ),
    ] = None,
) -> int:
    """Delete the conversations that did not change for longer than an age."""
    import time

    from voicechat.config import loader
    from voicechat.history import history_edits
    from voicechat.history.database import opened

    options = loader.load({"history_keep": keep})
    if options.history_days is None:
        raise UsageError("There is no age.", 'Type: voicechat history prune --keep "90 days"')
    with opened() as connection:
        old = history_edits.expired(connection, time.time(), options.history_days)
        for conversation_id in old:
            history_edits.purge(connection, conversation_id)
    say(f"Deleted {len(old)} conversation{'' if len(old) == 1 else 's'}.")
    return 0


def _print_found(words: str | None, limit: int, as_json: bool) -> int:
    from voicechat.history import history_calls

    found = history_calls.find(words or "", limit)
    if as_json:
        typer.echo(_as_json(found))
    elif found:
        typer.echo(history_calls.listing(found))
    else:
        say("The history has no conversation yet." if words is None else "Nothing was found.")
    return 0


def _as_json(found: list[FoundConversation]) -> str:
    import json

    rows = [{**each.conversation.fields, "excerpt": each.excerpt} for each in found]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _document(name: str, form: str) -> str:
    from voicechat.history import history_calls
    from voicechat.history.history_export import exported

    return exported(history_calls.load(name), form)

"""`voicechat models`: providers and their models, and the local models that a user downloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import JSON, CommandEntry, Text, flag, say
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.session.model_list import ListedProvider

app = typer.Typer(add_completion=False, rich_markup_mode=None)

COMMAND = CommandEntry(10, "models", "List models, voices and keys; download local models.", app)

_HINT = "voicechat models list shows the local models of the embedded voice."

BUILT_IN = "built-in"
"""The name that `use` takes to return to the built-in models."""

_IDS = typer.Argument(metavar="ID", help="Ids of local models.", autocompletion=values.local_models)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: Annotated[bool, JSON] = False) -> int:
    """List providers with their models and voices, and the keys they need.

    A key is set in the environment, in the settings file, or by voicechat login in the keyring or a
    private file; the first of these wins. An asterisk marks the default model of each provider.

    The commands below are about local models: speech recognition and voices for the embedded voice,
    which run on this machine.
    """
    from voicechat.config import loader
    from voicechat.session.model_list import list_providers

    if context.invoked_subcommand is not None:
        if as_json:
            raise UsageError(
                f"Options of {context.invoked_subcommand!r} must follow its name.",
                f"See voicechat models {context.invoked_subcommand} --help.",
            )
        return 0
    providers = list_providers(loader.load())
    typer.echo(models_as_json(providers) if as_json else f"{models_as_text(providers)}\n\n{_HINT}")
    return 0


@app.command("list", short_help="List the local models.")
def list_local(as_json: Annotated[bool, JSON] = False) -> int:
    """List the local models: size, license, and whether each is built in or downloaded.

    An asterisk marks the models that the embedded voice uses.
    """
    from voicechat.cli import _local_models

    rows = _local_models.rows()
    typer.echo(_local_models.as_json(rows) if as_json else _local_models.as_text(rows))
    return 0


@app.command(short_help="Download local models.")
def pull(
    ids: Annotated[list[str], _IDS],
    mirror: Annotated[Text, flag("model_mirror")] = None,
) -> int:
    """Download local models. A download that was stopped continues where it ended.

    Honors HTTPS_PROXY. A mirror holds the files of each model at URL/ID/FILE, like the folder of
    downloaded models.
    """
    from voicechat.cli import _local_models
    from voicechat.config import loader

    _local_models.pull(ids, loader.load({"model_mirror": mirror}).model_mirror)
    return 0


@app.command(short_help="Delete downloaded models.")
def remove(ids: Annotated[list[str], _IDS]) -> int:
    """Delete downloaded models. The built-in model replaces a chosen one."""
    from voicechat.local_models.installed_model import forget_choice
    from voicechat.local_models.model_catalog import local_model
    from voicechat.local_models.model_store import ModelStore
    from voicechat.system.text_table import megabytes

    for model in [local_model(each) for each in ids]:
        freed = ModelStore().remove(model)
        forget_choice(model.id)
        say(f"Removed {model.id}; {megabytes(freed)} are free again.")
    return 0


@app.command(short_help="Choose the models of the embedded voice.")
def use(
    ids: Annotated[
        list[str],
        typer.Argument(
            metavar="ID",
            help=f"Ids, or {BUILT_IN} to undo all choices.",
            autocompletion=values.local_models,
        ),
    ],
) -> int:
    """Choose the model for speech recognition, or the voice, of the embedded voice.

    The choice is remembered. `[embedded]` in the settings file wins over it.
    """
    from voicechat.local_models.installed_model import choose, forget_choice
    from voicechat.local_models.model_catalog import local_model

    chosen = [local_model(each) for each in ids if each != BUILT_IN]
    if BUILT_IN in ids:
        forget_choice()
        say("The embedded voice uses its built-in models from the next start on.")
    for model in chosen:
        choose(model)
        say(f"The embedded voice uses {model.id} from the next start on.")
    return 0


def models_as_json(providers: Sequence[ListedProvider]) -> str:
    """The providers as JSON. Keys appear as names of variables, never as values."""
    import json

    fields = [
        {
            "provider": provider.name,
            "default": provider.default_model,
            "models": provider.models,
            "transcribers": provider.transcription_models,
            "translators": provider.translation_models,
            "speakers": provider.speech_models,
            "voices": provider.voices,
            "model_voices": provider.model_voices,
            "limits": {
                name: {"context": its.context_tokens, "output": its.output_tokens}
                for name, its in provider.limits.items()
            },
            "keys": provider.keys,
            "key_places": provider.key_places,
            "address": provider.address,
            "ready": provider.is_ready,
            "prices": provider.prices,
        }
        for provider in providers
    ]
    return json.dumps(fields, indent=2)


def models_as_text(providers: Sequence[ListedProvider]) -> str:
    """The providers as plain text."""
    from voicechat.providers.catalog import installed

    lines = [line for provider in providers for line in _lines(provider)]
    return "\n".join([*lines, *installed().problems]).strip()


def _lines(provider: ListedProvider) -> Iterator[str]:
    from voicechat.system.text_table import table

    is_set = [name for name, found in provider.keys.items() if found]
    needed = _status(" or ".join(provider.keys), False)
    if is_set:
        place = provider.key_places.get(is_set[0], "")
        needed = _status(is_set[0], True) + (f" ({place})" if place else "")
    yield f"{provider.name}: {needed if provider.keys else 'needs no key'}"
    yield from table(_row(provider, name) for name in provider.models)
    if not provider.models:
        yield f"    {provider.name}/NAME, the name of your deployment"
    rows = {
        "address": [_status(name, found) for name, found in provider.address.items()],
        "transcribes": [name.partition("/")[2] for name in provider.transcription_models],
        "translates": [name.partition("/")[2] for name in provider.translation_models],
        "speaks": [name.partition("/")[2] for name in provider.speech_models],
        "voices": provider.voices,
    }
    yield from table((name, ", ".join(values)) for name, values in rows.items() if values)
    for voices in dict.fromkeys(provider.model_voices.values()):
        own = (name for name, its in provider.model_voices.items() if its == voices)
        names = ", ".join(name.partition("/")[2] for name in own)
        yield f"  voices of {names}: {', '.join(voices)}"
    yield ""


def _row(provider: ListedProvider, name: str) -> tuple[str, ...]:
    mark = "*" if name == provider.default_model else " "
    its = provider.limits.get(name)
    if its is None:
        return (f"{mark} {name}",)
    context, output = its.context_tokens // 1_000, its.output_tokens // 1_000
    return f"{mark} {name}", f"{context}k context, {output}k output"


def _status(name: str, is_set: bool) -> str:
    return f"{name} is {'set' if is_set else 'not set'}"

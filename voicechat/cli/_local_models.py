"""Local models in commands: the list, a pull with its progress, the models that `serve` loads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from voicechat.cli.command import say
from voicechat.local_models.installed_model import (
    USABLE_KINDS,
    chosen_model,
    detector_file,
    installed_models,
)
from voicechat.local_models.model_catalog import LocalModel, ModelKind, local_model, local_models
from voicechat.local_models.model_store import ModelStore, built_in_folder
from voicechat.system.terminal_guard import is_dumb
from voicechat.system.text_table import megabytes, table

if TYPE_CHECKING:
    from voicechat.local_models.model_download import Report

_KINDS: dict[ModelKind, str] = {
    "stt": "Speech recognition",
    "tts": "Voices",
    "end-of-turn": "End of turn",
    "vad": "Voice activity detection",
}
_STEP = 4
"""Lines of progress for a download where there is no terminal."""


class ModelRow(NamedTuple):
    """A local model and what is true of it on this machine."""

    model: LocalModel
    state: str
    """built-in, downloaded or not downloaded."""
    folder: Path | None
    is_used: bool


def rows() -> list[ModelRow]:
    """Return the local models in the order of the list."""
    store = ModelStore()
    used = {each.id for kind in USABLE_KINDS if (each := chosen_model(kind, store=store))}
    order = list(_KINDS)
    models = sorted(local_models().values(), key=lambda model: (order.index(model.kind), model.id))
    found = []
    for model in models:
        folder = store.find(model)
        is_used = model.id in used if model.kind in USABLE_KINDS else folder is not None
        found.append(ModelRow(model, _state(model, store), folder, is_used))
    return found


def _state(model: LocalModel, store: ModelStore) -> str:
    if store.is_downloaded(model):
        return "downloaded"
    return "built-in" if built_in_folder(model) else "not downloaded"


def as_json(found: Sequence[ModelRow]) -> str:
    """Return the local models as JSON."""
    fields = [
        {
            "id": row.model.id,
            "title": row.model.title,
            "kind": row.model.kind,
            "family": row.model.family,
            "languages": row.model.languages,
            "license": row.model.license,
            "bytes": row.model.installed_size,
            "state": row.state,
            "used": row.is_used,
            "folder": None if row.folder is None else str(row.folder),
        }
        for row in found
    ]
    return json.dumps(fields, indent=2, ensure_ascii=False)


def as_text(found: Sequence[ModelRow]) -> str:
    """Return the local models as plain text, grouped by kind."""
    lines: list[str] = []
    for kind, group in groupby(found, key=lambda row: row.model.kind):
        cells = [
            (
                f"{'*' if row.is_used else ' '} {row.model.id}",
                _languages(row.model),
                megabytes(row.model.installed_size),
                "" if row.state == "not downloaded" else row.state,
                row.model.license,
            )
            for row in group
        ]
        lines += ["", f"{_KINDS[kind]}:", *table(cells, width=80)]
    return "\n".join(lines).strip()


def _languages(model: LocalModel) -> str:
    count = len(model.languages)
    return ", ".join(model.languages) if count < 4 else f"{count} languages"


def pull(ids: Sequence[str], mirror: str | None) -> None:
    """Download the models one after the other. Raises what `download_model` raises."""
    from voicechat.local_models.model_download import download_model

    store = ModelStore()
    for model in [local_model(each) for each in ids]:
        if folder := store.find(model):
            say(f"{model.id} is already here, in {folder}")
            continue
        size = sum(file.size for file in model.downloads(mirror).values())
        if model.is_downloadable:
            say(f"Downloading {model.id}: {megabytes(size)}, license: {model.license}.")
        try:
            with _progress(model) as report:
                folder = download_model(model, store, mirror, report)
        except KeyboardInterrupt:
            say("Stopped. The same command continues the download.")
            raise
        say(f"Downloaded {model.id} to {folder}")
        if model.kind in USABLE_KINDS:
            say(f"To use it, type: voicechat models use {model.id}")


class SpeechModels(TypedDict):
    """The options of a server that name installed models; see `ServeOptions`."""

    stt_model: Path | None
    stt_tokens_per_second: float
    voices: dict[str, Path]
    vad_model: Path | None
    turn_end_model: Path | None


def speech_models() -> SpeechModels:
    """Return the models that the embedded voice loads: the chosen or built-in ones."""
    stt, tts = chosen_model("stt", say), chosen_model("tts", say)
    voices = [*([tts] if tts else []), *installed_models("tts")]
    return SpeechModels(
        stt_model=stt.folder if stt else None,
        stt_tokens_per_second=stt.tokens_per_second if stt else 6.5,
        voices={name: each.folder / each.files[0] for each in voices for name in each.voices},
        vad_model=detector_file("vad"),
        turn_end_model=detector_file("end-of-turn"),
    )


@contextmanager
def _progress(model: LocalModel) -> Iterator[Report]:
    """Show the progress of a download on standard error: a bar on a terminal, else lines."""
    if not sys.stderr.isatty() or is_dumb():
        yield _lines()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn(model.id),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda present, total: shown.update(task, completed=present, total=total)


def _lines() -> Report:
    """Return a report that prints a line for each quarter of the download."""
    printed = 0

    def report(present: int, total: int) -> None:
        nonlocal printed
        quarter = present * _STEP // total
        if printed < quarter < _STEP:
            printed = quarter
            say(f"{megabytes(present)} of {megabytes(total)}")

    return report

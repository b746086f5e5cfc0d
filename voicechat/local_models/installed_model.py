"""The models that the embedded voice loads: the user's choice, or the built-in ones.

`voicechat models use` stores the choice. A chosen model that is no longer there is reported, and
the built-in one takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from voicechat.errors import UsageError
from voicechat.local_models.model_catalog import (
    LocalModel,
    ModelFamily,
    ModelKind,
    local_model,
    local_models,
)
from voicechat.local_models.model_store import ModelStore
from voicechat.system.private_files import locked, write_private

USABLE_KINDS: tuple[ModelKind, ...] = ("stt", "tts")
"""The kinds of which the embedded voice loads one."""

_WAIT_S = 1.0
"""Seconds to wait for another process that changes the choice."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that an engine can load."""

    id: str
    kind: ModelKind
    family: ModelFamily
    """The engine that loads it."""
    folder: Path
    files: tuple[str, ...]
    """Names in the folder, in the order of the catalog."""
    voices: tuple[str, ...] = ()
    """Names of its voices; the first is the default."""
    tokens_per_second: float = 6.5
    """Most tokens that a Moonshine model needs for a second of speech."""


def installed_model(model_id: str, store: ModelStore | None = None) -> InstalledModel:
    """Return a model of the catalog that is installed.

    Raises `UsageError` when the catalog does not have it or it is not downloaded.
    """
    model = local_model(model_id)
    found = _installed(model, store or ModelStore())
    if found is None:
        raise UsageError(
            f"{model.id} is not downloaded.", f"Type: voicechat models pull {model.id}"
        )
    return found


def installed_models(kind: ModelKind, store: ModelStore | None = None) -> list[InstalledModel]:
    """Return every installed model of a kind, in the order of their ids."""
    store = store or ModelStore()
    models = (_installed(model, store) for model in local_models().values() if model.kind == kind)
    return [model for model in models if model is not None]


def chosen_model(
    kind: ModelKind,
    notify: Callable[[str], None] = lambda _: None,
    store: ModelStore | None = None,
) -> InstalledModel | None:
    """Return the model that the embedded voice loads; None when nothing of this kind is there.

    `notify` receives a sentence when the user's choice cannot be loaded.
    """
    store = store or ModelStore()
    chosen = _read().get(kind)
    models = local_models()
    if chosen is not None:
        found = _installed(models[chosen], store) if chosen in models else None
        if found is not None:
            return found
        notify(
            f"{chosen} is no longer downloaded; the built-in model is used."
            f" To get it again, type: voicechat models pull {chosen}"
        )
    default = default_model(kind)
    return _installed(default, store) if default else None


def detector_file(kind: ModelKind, store: ModelStore | None = None) -> Path | None:
    """Return the file of a detector, which needs no choice; None when none is installed."""
    found = installed_models(kind, store)
    return found[0].folder / found[0].files[0] if found else None


def default_model(kind: ModelKind) -> LocalModel | None:
    """Return the built-in model of a kind; None when there is none."""
    built_in = (each for each in local_models().values() if each.package_folder)
    return next((model for model in built_in if model.kind == kind), None)


def choose(model: LocalModel) -> None:
    """Let the embedded voice load this model from now on. Raises `UsageError`."""
    if model.kind not in USABLE_KINDS:
        raise UsageError(f"{model.id} needs no choice: it is used when it is downloaded.")
    installed_model(model.id)
    _change(lambda choice: {**choice, model.kind: model.id})


def forget_choice(model_id: str | None = None) -> None:
    """Return to the built-in model if this one is chosen; None returns to all of them."""
    _change(
        lambda choice: {
            kind: chosen for kind, chosen in choice.items() if model_id not in {None, chosen}
        }
    )


def _installed(model: LocalModel, store: ModelStore) -> InstalledModel | None:
    folder = store.find(model)
    if folder is None:
        return None
    return InstalledModel(
        id=model.id,
        kind=model.kind,
        family=model.family,
        folder=folder,
        files=tuple(file.name for file in model.files),
        voices=model.voices,
        tokens_per_second=model.tokens_per_second,
    )


def _choice_file() -> Path:
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / "models.json"


def _read() -> dict[str, str]:
    try:
        return msgspec.json.decode(_choice_file().read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def _change(change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
    before = _read()
    if change(before) == before:
        return
    path = _choice_file()
    try:
        with locked(path, _WAIT_S):
            write_private(path, msgspec.json.encode(change(_read())))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None

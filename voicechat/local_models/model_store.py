"""The folder of installed models: the location, the completeness and the removal of each.

A model is installed by renaming a complete folder, so a folder with the name of a model holds
checked files. `.ID.partial` holds an unfinished download, and `.ID.lock` keeps out other programs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from voicechat.errors import UsageError
from voicechat.local_models.model_catalog import LocalModel
from voicechat.system.private_files import locked

_WAIT_S = 0.2
"""Seconds to wait for another program that pulls or removes the same model."""


class ModelStore:
    """The models of the user."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _default_folder()

    def path(self, model: LocalModel) -> Path:
        """Return the folder of a model. It need not exist."""
        return self.folder / model.id

    def partial(self, model: LocalModel) -> Path:
        """Return the folder of an unfinished download. It need not exist."""
        return self.folder / f".{model.id}.partial"

    def is_downloaded(self, model: LocalModel) -> bool:
        """Return True when every file has its size. The download checked the sums."""
        return all(_size(self.path(model) / file.name) == file.size for file in model.files)

    def find(self, model: LocalModel) -> Path | None:
        """Return the folder with the files: downloaded, or in a package; None when absent."""
        if self.is_downloaded(model):
            return self.path(model)
        return built_in_folder(model)

    @contextmanager
    def reserved(self, model: LocalModel) -> Iterator[None]:
        """Keep other programs from pulling or removing the model.

        Raises `UsageError` when another program does so now.
        """
        try:
            with locked(self.path(model), _WAIT_S):
                yield
        except TimeoutError:
            raise UsageError(
                f"Another voicechat is downloading or removing {model.id}.", "Try again later."
            ) from None

    def publish(self, model: LocalModel) -> Path:
        """Make a finished download the installed model. Raises `OSError`."""
        final = self.path(model)
        names = {file.name for file in model.files}
        for path in self.partial(model).iterdir():
            if path.name not in names:
                path.unlink()
        if final.exists():
            _delete(final)
        self.partial(model).replace(final)
        return final

    def remove(self, model: LocalModel) -> int:
        """Delete a model and its unfinished download; return the bytes that this frees.

        Raises `UsageError` when there is nothing to delete or it cannot be deleted.
        """
        folders = [each for each in (self.path(model), self.partial(model)) if each.is_dir()]
        if not folders and built_in_folder(model) is not None:
            raise UsageError(
                f"{model.id} is built in and cannot be removed.",
                "To choose another model, type: voicechat models use ID",
            )
        if not folders:
            raise UsageError(
                f"{model.id} is not downloaded.", "To list the models, type: voicechat models list"
            )
        freed = sum(max(0, _size(path)) for folder in folders for path in folder.iterdir())
        try:
            with self.reserved(model):
                for folder in folders:
                    _delete(folder)
        except OSError as error:
            raise UsageError(f"{model.id} cannot be removed: {error.strerror}.") from None
        return freed


def _default_folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("voicechat", appauthor=False) / "models"


def built_in_folder(model: LocalModel) -> Path | None:
    """Return the folder in an installed package that has the files of the model, if any."""
    package, _, folder = model.package_folder.partition("/")
    found = find_spec(package) if package else None
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / folder
    return path if all((path / file.name).is_file() for file in model.files) else None


def _delete(folder: Path) -> None:
    """Delete a folder with its files, or a link to one."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

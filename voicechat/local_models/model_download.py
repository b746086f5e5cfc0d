"""The download of a model: its files arrive in a folder of their own, which then gets its name.

Neither a cut connection nor a killed process leaves a half model: the next call continues.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from voicechat.errors import ConnectError, UsageError, VoicechatError
from voicechat.local_models.file_download import FileDownload, Pause, make_client
from voicechat.local_models.model_catalog import ARCHIVE, LocalModel, ModelFile, RemoteFile
from voicechat.local_models.model_store import ModelStore
from voicechat.system.text_table import megabytes

_BLOCK = 1 << 20

Report = Callable[[int, int], None]
"""Gets the bytes that are there and the bytes of the whole download."""


def download_model(
    model: LocalModel,
    store: ModelStore,
    mirror: str | None = None,
    report: Report = lambda _present, _total: None,
    pause: Pause = asyncio.sleep,
) -> Path:
    """Download a model and install it; return its folder. Does nothing when it is installed.

    mirror: address of a web folder with copies of the files, MIRROR/ID/NAME.
    pause: waits some seconds before another connection.
    Raises `UsageError` when the model cannot be downloaded or another program does so,
    `ConnectError` when the server fails, `VoicechatError` when the files cannot be written.
    """
    downloads = model.downloads(mirror)
    if not model.is_downloadable:
        raise UsageError(f"{model.id} comes with voicechat. There is nothing to download.")
    try:
        with store.reserved(model):
            if store.is_downloaded(model):
                return store.path(model)
            folder = store.partial(model)
            folder.mkdir(exist_ok=True)
            try:
                _check_space(model, store, downloads)
                asyncio.run(_fetch(folder, downloads, report, pause))
            finally:
                _delete_if_empty(folder)
            if ARCHIVE in downloads:
                _extract(model, folder)
            return store.publish(model)
    except OSError as error:
        word = error.strerror or str(error)
        raise VoicechatError(f"{model.id} cannot be stored in {store.folder}: {word}.") from None


async def _fetch(
    folder: Path,
    downloads: dict[str, RemoteFile],
    report: Report,
    pause: Pause,
) -> None:
    total = sum(file.size for file in downloads.values())
    finished = 0
    async with make_client() as client:
        for name, file in downloads.items():
            await FileDownload(
                client,
                file,
                folder / name,
                lambda present, before=finished: report(before + present, total),  # type: ignore[misc]
                pause,
            ).run()
            finished += file.size


def _check_space(model: LocalModel, store: ModelStore, downloads: dict[str, RemoteFile]) -> None:
    """Raise `VoicechatError` unless the disk has room for what is still to come."""
    wanted = sum(file.size for file in downloads.values())
    if ARCHIVE in downloads:
        wanted += model.installed_size
    present = sum(path.stat().st_size for path in store.partial(model).iterdir())
    free = shutil.disk_usage(store.folder).free
    if free < wanted - present:
        raise VoicechatError(
            f"{model.id} needs {megabytes(wanted - present)} on the disk, and only"
            f" {megabytes(free)} are free.",
            f"Free some space in {store.folder}.",
        )


def _delete_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _extract(model: LocalModel, folder: Path) -> None:
    """Extract the files of the model from its archive, and delete the archive.

    The names of the files come from the catalog, never from the archive.
    """
    archive = folder / ARCHIVE
    try:
        with zipfile.ZipFile(archive) as members:
            for file in model.files:
                _extract_file(members, file, folder / file.name)
    except (zipfile.BadZipFile, zlib.error, KeyError, RuntimeError, EOFError) as error:
        archive.unlink()
        reason = str(error.args[0] if error.args else error)[:80]
        raise ConnectError(f"The archive of {model.id} cannot be read: {reason}.") from None
    archive.unlink()


def _extract_file(members: zipfile.ZipFile, file: ModelFile, path: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    part = path.with_name(f"{path.name}.part")
    with members.open(file.member) as source, part.open("wb") as target:
        # One byte more than the catalog names shows a member that is too long.
        while block := source.read(min(_BLOCK, file.size + 1 - size)):
            size += len(block)
            digest.update(block)
            target.write(block)
    if size != file.size or digest.hexdigest() != file.sha256:
        raise zipfile.BadZipFile(f"{file.name} differs from the catalog")
    part.replace(path)

"""The catalog: each local model with its license, languages, files, sizes and checksums.

A model is one TOML file in `catalog/`; the name of the file is the id of the model. Enter only
SHA-256 sums that were verified, and only families that an engine in `server` loads.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from voicechat.config.setting_place import similar
from voicechat.errors import UsageError

CATALOG = Path(__file__).with_name("catalog")

ModelKind = Literal["stt", "tts", "end-of-turn", "vad"]
ModelFamily = Literal["moonshine", "hibari", "kokoro", "silero", "smart-turn"]
"""The engine that loads a model."""

_Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
_Size = Annotated[int, msgspec.Meta(gt=0, le=4_000_000_000)]
_Sum = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Url = Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^/\s]+/\S+\Z")]


class RemoteFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to download."""

    url: _Url
    size: _Size
    """Bytes."""
    sha256: _Sum


class ModelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of an installed model."""

    name: _Name
    size: _Size
    """Bytes."""
    sha256: _Sum
    url: _Url | None = None
    """None when the file comes from the archive or only from a package."""
    member: str = ""
    """Path inside the archive."""


class LocalModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that runs on this machine."""

    id: _Name
    title: str
    kind: ModelKind
    family: ModelFamily
    languages: tuple[str, ...]
    """BCP 47 tags."""
    license: str
    files: tuple[ModelFile, ...]
    archive: RemoteFile | None = None
    """A wheel or another zip file that contains the files."""
    voices: tuple[str, ...] = ()
    """Names of its voices; the first is the default."""
    tokens_per_second: Annotated[float, msgspec.Meta(gt=0)] = 6.5
    """Most tokens that a Moonshine model needs for a second of speech."""
    package_folder: str = ""
    """Folder of the files inside an installed package: PACKAGE/FOLDER."""

    @property
    def installed_size(self) -> int:
        """Bytes of the installed files."""
        return sum(file.size for file in self.files)

    @property
    def is_downloadable(self) -> bool:
        """False when only a package contains the files."""
        return self.archive is not None or all(file.url for file in self.files)

    def downloads(self, mirror: str | None = None) -> dict[str, RemoteFile]:
        """The files to download, by the name to store each under.

        A mirror is a web folder that looks like the folder of installed models. It has the files
        of the model, never the archive: MIRROR/ID/NAME.
        """
        if mirror is not None:
            urls = {file.name: f"{mirror.rstrip('/')}/{self.id}/{file.name}" for file in self.files}
        elif self.archive is not None:
            return {ARCHIVE: self.archive}
        else:
            urls = {file.name: file.url for file in self.files if file.url}
        return {
            file.name: RemoteFile(urls[file.name], file.size, file.sha256)
            for file in self.files
            if file.name in urls
        }


ARCHIVE = "archive.zip"
"""Name under which an archive is stored until its files are extracted."""


def local_models() -> Mapping[str, LocalModel]:
    """Return the models of the catalog by id."""
    return _read(CATALOG)


def local_model(model_id: str) -> LocalModel:
    """Return the model with this id. Raises `UsageError` when there is none."""
    known = local_models()
    if model_id not in known:
        hint = similar(model_id, known) or "To list them, type: voicechat models list"
        raise UsageError(f"There is no local model {model_id[:60]!r}.", hint)
    return known[model_id]


@cache
def _read(folder: Path) -> Mapping[str, LocalModel]:
    rows = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in folder.glob("*.toml")}
    return {
        name: msgspec.convert({"id": name, **row}, LocalModel, strict=True)
        for name, row in sorted(rows.items())
    }

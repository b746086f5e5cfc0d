"""Fixtures of the tests of local models: a server, a catalog on it, an empty store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import small_catalog
from file_server import FileServer, file_server

from voicechat.local_models import model_catalog
from voicechat.local_models.model_store import ModelStore


@pytest.fixture
def server() -> Iterator[FileServer]:
    """A web server that serves the files of the catalog."""
    with file_server() as running:
        yield running


@pytest.fixture
def catalog(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small catalog in place of the real one; no proxy, an empty home."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for kind in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind))
    folder = tmp_path / "catalog"
    small_catalog.fill(folder, server)
    monkeypatch.setattr(model_catalog, "CATALOG", folder)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty folder of models."""
    return ModelStore(tmp_path / "models")

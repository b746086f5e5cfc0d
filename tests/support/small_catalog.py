"""A catalog of small models on a server of the test."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from file_server import FileServer

ENCODER = random.Random(1).randbytes(300_000)
VOICE = random.Random(2).randbytes(50_000)


def toml(fields: Mapping[str, object]) -> str:
    """The fields as lines of TOML."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items())


def write_model(
    catalog: Path,
    model_id: str,
    files: Mapping[str, bytes],
    urls: Mapping[str, str],
    archive: tuple[str, bytes] | None = None,
    members: Mapping[str, str] | None = None,
    **more: object,
) -> None:
    """Add a row to the catalog: plain files with their URLs, or members of an archive."""
    row = {
        "title": model_id.title(),
        "kind": "stt",
        "family": "moonshine",
        "languages": ["en"],
        "license": "MIT",
        **more,
    }
    text = toml(row)
    if archive is not None:
        text += "\n[archive]\n" + toml(described(archive[1]) | {"url": archive[0]})
    for name, content in files.items():
        fields = described(content) | {"name": name}
        if name in urls:
            fields["url"] = urls[name]
        if members is not None:
            fields["member"] = members[name]
        text += "\n[[files]]\n" + toml(fields)
    catalog.mkdir(exist_ok=True)
    (catalog / f"{model_id}.toml").write_text(text, encoding="utf-8")


def described(content: bytes) -> dict[str, object]:
    """The size and the checksum of a file, as a row of the catalog has them."""
    return {"size": len(content), "sha256": sha256(content).hexdigest()}


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A wheel with these members."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return written.getvalue()


def fill(catalog: Path, server: FileServer) -> None:
    """Add the models that most tests use: two plain files, a voice, and a wheel."""
    server.files = {"/tiny/encoder.ort": ENCODER, "/tiny/words.bin": b"words", "/v.onnx": VOICE}
    write_model(
        catalog,
        "tiny",
        {"encoder.ort": ENCODER, "words.bin": b"words"},
        {name: f"{server.url}/tiny/{name}" for name in ("encoder.ort", "words.bin")},
    )
    write_model(
        catalog,
        "voice",
        {"v.onnx": VOICE},
        {"v.onnx": f"{server.url}/v.onnx"},
        kind="tts",
        family="hibari",
        voices=["emma"],
    )
    wheel = zipped({"package/__init__.py": b"", "package/assets/encoder.ort": ENCODER})
    server.files["/package.whl"] = wheel
    write_model(
        catalog,
        "wheel",
        {"encoder.ort": ENCODER},
        {},
        (f"{server.url}/package.whl", wheel),
        {"encoder.ort": "package/assets/encoder.ort"},
    )

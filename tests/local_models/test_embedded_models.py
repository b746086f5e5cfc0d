"""The embedded voice loads the models that the user chose."""

from __future__ import annotations

import asyncio

import pytest
from small_catalog import write_model

from voicechat.cli._local_models import speech_models
from voicechat.local_models import installed_model
from voicechat.local_models.model_catalog import local_model
from voicechat.local_models.model_download import download_model
from voicechat.local_models.model_store import ModelStore
from voicechat.server.engine_startup import create_engines
from voicechat.server.serve_options import ServeOptions
from voicechat.server.tts.hibari_tts import bundled_voice


def test_without_a_choice_everything_is_built_in() -> None:
    found = speech_models()
    for path in (found["stt_model"], *found["voices"].values(), found["vad_model"]):
        assert path is None or path.exists()
    assert set(found["voices"]) <= {"heart"}


def test_the_chosen_models_come_first(catalog, capsys) -> None:
    found = speech_models()
    assert (found["stt_model"], found["voices"], found["vad_model"]) == (None, {}, None)
    for name in ("tiny", "voice"):
        download_model(local_model(name), ModelStore())
        installed_model.choose(local_model(name))
    folder = ModelStore().folder
    assert speech_models() == {
        "stt_model": folder / "tiny",
        "stt_tokens_per_second": 6.5,
        "voices": {"emma": folder / "voice" / "v.onnx"},
        "vad_model": None,
        "turn_end_model": None,
    }
    (folder / "voice" / "v.onnx").unlink()
    assert speech_models()["voices"] == {}
    assert "voicechat: voice is no longer downloaded" in capsys.readouterr().err


async def test_a_downloaded_voice_speaks_by_default(catalog, server) -> None:
    heart = bundled_voice()
    if heart is None:
        pytest.skip("hibari-tts is not installed")
    content = heart.read_bytes()
    server.files["/emma.onnx"] = content
    write_model(
        catalog,
        "emma",
        {"emma.onnx": content},
        {"emma.onnx": f"{server.url}/emma.onnx"},
        kind="tts",
        family="hibari",
        voices=["emma"],
    )
    await asyncio.to_thread(download_model, local_model("emma"), ModelStore())
    installed_model.choose(local_model("emma"))
    engines = create_engines(ServeOptions(**speech_models()))
    try:
        assert engines.tts.names == ("emma", "heart")
        spoken = [piece async for piece in engines.tts.speak("Good morning.")]
    finally:
        await engines.close()
    assert "".join(piece.text for piece in spoken) == "Good morning."
    assert len(b"".join(piece.pcm for piece in spoken)) > engines.tts.rate

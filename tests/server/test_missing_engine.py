"""A machine without the packages for speech: typed use works, one sentence says why."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from scripted import Loud, ScriptedAssistant, ScriptedStt, ScriptedTts

from voicechat.errors import ServerError
from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_protocols import AssistantRequest, Message, Say
from voicechat.server.engine_startup import EngineSet, create_engines
from voicechat.server.serve_options import ServeOptions

SEARCH = importlib.util.find_spec


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Hide packages by name."""

    def hide(*names: str) -> None:
        def find(name: str, package: str | None = None) -> ModuleSpec | None:
            return None if name in names else SEARCH(name, package)

        monkeypatch.setattr(importlib.util, "find_spec", find)

    return hide


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        ("onnxruntime", "it has no ONNX Runtime"),
        ("moonshine_voice", "run: voicechat models pull moonshine-tiny-en"),
        ("hibari", "the package hibari-tts is missing"),
    ],
)
async def test_typed_use_works_and_one_sentence_says_why(
    without: Callable[[str], None], package: str, sentence: str
) -> None:
    without(package)
    notices: list[str] = []
    engines = create_engines(ServeOptions(), notices.append)
    await engines.open(lambda name, done: None)
    try:
        request = AssistantRequest([Message("user", "what is two plus two")])
        said = [
            part.text async for part in engines.assistant.reply(request) if isinstance(part, Say)
        ]
        assert "4" in "".join(said) or "four" in "".join(said)
        (notice,) = notices
        assert sentence in notice
        spoken = [piece async for piece in engines.tts.speak("One two.")]
        assert "".join(piece.text for piece in spoken) == "One two."
        utterance = engines.stt.utterance(lambda partial: None)
        utterance.feed(bytes(32_000))
        if package == "hibari":
            assert await utterance.finish() == ""
        else:
            with pytest.raises(ServerError, match="models pull moonshine-tiny-en"):
                await utterance.finish()
    finally:
        await engines.close()


def test_typed_sessions_get_no_sentence(without: Callable[[str], None]) -> None:
    without("onnxruntime")
    notices: list[str] = []
    create_engines(ServeOptions(warm_speech=False), notices.append)
    assert notices == []


def test_a_downloaded_model_replaces_the_package(
    without: Callable[[str], None], tmp_path: Path
) -> None:
    without("moonshine_voice")
    notices: list[str] = []
    create_engines(ServeOptions(stt_model=tmp_path), notices.append)
    assert notices == []


@pytest.mark.parametrize(("speech", "first"), [(True, "engines"), (False, "assistant")])
async def test_the_progress_names_only_what_is_loaded(speech: bool, first: str) -> None:
    parts: list[str] = []
    engines = EngineSet(ScriptedStt(), ScriptedAssistant(), ScriptedTts(), DetectorPool(Loud))
    await engines.open(lambda part, done: parts.append(part), speech=speech)
    assert parts[0] == first
    assert any("speech" in part for part in parts) is speech

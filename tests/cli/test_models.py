"""`voicechat models`."""

from __future__ import annotations

import json

import pytest

from voicechat.cli import models
from voicechat.cli.app import main
from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.providers.catalog import PROVIDERS

KEY = "xai-planted-0123"


def test_every_provider_is_listed_and_no_key_is_shown() -> None:
    options = Options(keys={"XAI_API_KEY": Secret(KEY)})
    told = {str(each["provider"]): each for each in models.list_models(options)}
    assert set(told) == set(PROVIDERS)
    assert told["xai"]["keys"] == {"XAI_API_KEY": True}
    assert told["openai"]["keys"] == {"OPENAI_API_KEY": False}
    assert "xai/grok-voice-latest" in told["xai"]["models"]
    assert "marin" in told["openai"]["voices"]
    assert "openai/gpt-live-transcribe" in told["openai"]["transcribers"]
    assert told["openai"]["default"] == "openai/gpt-realtime-2.1"
    assert told["xai"]["transcribers"] == []
    assert (told["xai"]["ready"], told["openai"]["ready"], told["local"]["ready"]) == (
        True, False, True,
    )  # fmt: skip
    text = models.as_text(models.list_models(options))
    assert "planted" not in text
    assert "XAI_API_KEY is set" in text
    assert "OPENAI_API_KEY is not set" in text
    assert "* openai/gpt-realtime-2.1" in text
    assert "  transcribes  gpt-live-transcribe, gpt-transcribe," in text


def test_azure_is_ready_with_key_and_address() -> None:
    keys = {"AZURE_OPENAI_API_KEY": Secret("a")}
    endpoint = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}

    def ready(options: Options) -> object:
        return next(e["ready"] for e in models.list_models(options) if e["provider"] == "azure")

    assert not ready(Options(keys=keys))
    assert ready(Options(keys=keys, variables=endpoint))


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command(flags, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XAI_API_KEY", KEY)
    assert main(["models", *flags]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "xai/grok-voice-latest" in out
    assert "planted" not in out
    if flags:
        assert {each["provider"] for each in json.loads(out)} == set(PROVIDERS)

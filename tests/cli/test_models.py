"""`voicechat models`."""

from __future__ import annotations

import json

import pytest

from voicechat.cli import models
from voicechat.cli.app import main
from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.providers.catalog import PROVIDERS
from voicechat.session.model_list import list_models, list_providers

KEY = "xai-planted-0123"


def test_every_provider_is_listed_and_no_key_is_shown() -> None:
    providers = list_providers(Options(keys={"XAI_API_KEY": Secret(KEY)}))
    text, as_json = models.models_as_text(providers), models.models_as_json(providers)
    listed = {each["provider"]: each for each in json.loads(as_json)}
    assert set(listed) == set(PROVIDERS)
    assert listed["xai"]["keys"] == {"XAI_API_KEY": True}
    assert listed["openai"]["keys"] == {"OPENAI_API_KEY": False}
    assert "xai/grok-voice-latest" in listed["xai"]["models"]
    assert "marin" in listed["openai"]["voices"]
    assert "openai/gpt-live-transcribe" in listed["openai"]["transcribers"]
    assert listed["openai"]["default"] == "openai/gpt-realtime-2.1"
    assert listed["xai"]["transcribers"] == []
    assert (listed["xai"]["ready"], listed["openai"]["ready"], listed["local"]["ready"]) == (
        True, False, True,
    )  # fmt: skip
    assert "planted" not in text + as_json
    assert "XAI_API_KEY is set" in text
    assert "OPENAI_API_KEY is not set" in text
    assert "* openai/gpt-realtime-2.1 " in text
    assert "128k context, 32k output" in text
    assert "  translates  " in text
    assert "willow" in listed["openai"]["model_voices"]["openai/gpt-live-1"]
    assert listed["openai"]["prices"]["openai/gpt-realtime-translate"] == "2026-11-28"
    assert "  transcribes  gpt-live-transcribe, gpt-transcribe," in text


def test_azure_is_ready_with_key_and_address() -> None:
    keys = {"AZURE_OPENAI_API_KEY": Secret("a")}
    endpoint = {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}

    def is_ready(options: Options) -> bool:
        return next(each.is_ready for each in list_providers(options) if each.name == "azure")

    assert not is_ready(Options(keys=keys))
    assert is_ready(Options(keys=keys, variables=endpoint))


def test_programs_and_the_command_list_the_same_models(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    names = [
        name
        for each in listed
        for kind in ("models", "transcribers", "translators", "speakers")
        for name in each[kind]
    ]
    assert len(names) > 10
    assert [model.name for model in list_models()] == names


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command(flags, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XAI_API_KEY", KEY)
    assert main(["models", *flags]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "xai/grok-voice-latest" in out
    assert "planted" not in out
    assert ("voicechat models list" in out) is not bool(flags)
    if flags:
        assert {each["provider"] for each in json.loads(out)} == set(PROVIDERS)

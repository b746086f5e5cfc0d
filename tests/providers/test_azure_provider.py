"""Azure's endpoints: addresses, keys and dialects."""

import json
from collections import Counter

import pytest
import yaml
from wire_examples import NO_RECORDINGS, RECORDINGS

from voicechat.config.options import Options
from voicechat.core import commands, events
from voicechat.core.settings import SemanticVad, ServerVad, SessionSettings, Transcription
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.providers.catalog import codec_of, resolve, token_endpoint
from voicechat.session.requested_settings import session_settings

KEY = {"AZURE_OPENAI_API_KEY": "az-1"}
HOST = "https://res.openai.azure.com"


def endpoint(address, wire=None, **environ):
    choice = resolve(
        "azure/mine", environ={**KEY, "AZURE_OPENAI_ENDPOINT": address, **environ}, wire=wire
    )
    return choice.codec().endpoint()


@pytest.mark.parametrize(
    ("address", "wire", "url"),
    [
        (HOST, None, "wss://res.openai.azure.com/openai/v1/realtime?model=mine"),
        (f"{HOST}/", None, "wss://res.openai.azure.com/openai/v1/realtime?model=mine"),
        (f"{HOST}/openai/v1", "ga", "wss://res.openai.azure.com/openai/v1/realtime?model=mine"),
        (HOST, "beta", ("wss://res.openai.azure.com/openai/realtime"
         "?api-version=2025-04-01-preview&deployment=mine")),
        (f"{HOST}/openai/realtime?api-version=2024-10-01-preview&deployment=x", None,
         ("wss://res.openai.azure.com/openai/realtime"
         "?api-version=2024-10-01-preview&deployment=mine")),
        ("https://res.services.ai.azure.com/voice-live", None,
         "wss://res.services.ai.azure.com/voice-live/realtime?api-version=2025-10-01&model=mine"),
        ("https://res.services.ai.azure.com", "voice-live",
         "wss://res.services.ai.azure.com/voice-live/realtime?api-version=2025-10-01&model=mine"),
    ],
)  # fmt: skip
def test_addresses(address, wire, url):
    assert endpoint(address, wire).url == url


def test_the_version_variable_applies_to_the_preview_only():
    version = {"OPENAI_API_VERSION": "2025-01-01-preview"}
    assert "api-version=2025-01-01-preview" in endpoint(HOST, "beta", **version).url
    assert "api-version" not in endpoint(HOST, **version).url


@pytest.mark.parametrize(("wire", "beta"), [("ga", False), ("beta", True), ("voice-live", False)])
@pytest.mark.parametrize("is_entra", [False, True])
def test_the_key_is_in_one_header_and_the_beta_header_only_for_beta(wire, beta, is_entra):
    token = {"AZURE_OPENAI_API_KEY": "", "AZURE_OPENAI_AD_TOKEN": "e-1"} if is_entra else {}
    headers = endpoint(HOST, wire, **token).headers
    shown = {name: value.reveal() for name, value in headers.items()}
    expected = {"Authorization": "Bearer e-1"} if is_entra else {"api-key": "az-1"}
    assert shown == {**expected, **({"OpenAI-Beta": "realtime=v1"} if beta else {})}


def test_missing_settings_are_reported():
    with pytest.raises(UsageError, match="AZURE_OPENAI_ENDPOINT"):
        resolve("azure/mine", environ=KEY)
    with pytest.raises(UsageError, match="name of your deployment"):
        resolve("azure", environ=KEY)
    with pytest.raises(KeyMissing, match="AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN"):
        resolve("azure/mine", environ={"AZURE_OPENAI_ENDPOINT": HOST})
    with pytest.raises(UsageError, match="unencrypted"):
        endpoint("http://res.openai.azure.com")
    with pytest.raises(UsageError, match="no API dialect"):
        endpoint(HOST, "newest")


def test_a_transcription_session_names_no_model():
    choice = resolve(
        "azure/mine", environ={**KEY, "AZURE_OPENAI_ENDPOINT": HOST}, purpose="transcription"
    )
    url = choice.codec().endpoint().url
    assert url == "wss://res.openai.azure.com/openai/v1/realtime?intent=transcription"


def test_a_recorded_socket():
    recordings = list(RECORDINGS.joinpath("azure_ws").glob("*.yaml"))
    if not recordings:
        pytest.skip(NO_RECORDINGS)
    talk = yaml.safe_load(recordings[0].read_text("utf-8"))["interactions"]
    codec = resolve("azure/mine", environ={**KEY, "AZURE_OPENAI_ENDPOINT": HOST}).codec()
    settings = SessionSettings(
        instructions="Answer in two or three words.",
        turn_detection=ServerVad(),
        transcription=Transcription("gpt-realtime-whisper"),
    )
    (update,) = codec.encode(commands.UpdateSession(settings))
    theirs = next(one["data"]["session"] for one in talk if one["direction"] == "sent")
    assert {**json.loads(update)["session"], "tools": None} == {**theirs, "tools": None}
    received = [json.dumps(one["data"]) for one in talk if one["direction"] == "received"]
    kinds = Counter(type(e) for frame in received for e in codec.decode(frame))
    assert kinds[events.ResponseCreated] == kinds[events.ResponseDone] == 1
    assert kinds[events.ProviderError] == 0


@pytest.mark.parametrize(
    ("variable", "header"),
    [("AZURE_OPENAI_API_KEY", "api-key"), ("AZURE_OPENAI_AD_TOKEN", "Authorization")],
)
def test_a_live_deployment(variable, header):
    environ = {variable: Secret("k"), "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"}
    codec = resolve("azure/mine", environ=environ, wire="live").codec()
    target = codec.endpoint()
    assert target.url == "wss://r.openai.azure.com/openai/v1/live/sessions"
    assert list(target.headers) == [header]
    assert codec.capabilities.continuous
    assert '"model":"mine"' in codec.opening(SessionSettings())[0]


@pytest.mark.parametrize(
    ("wire", "beta"), [("ga", False), ("beta", True), ("voice-live", False), ("live", False)]
)
def test_a_token_of_entra_is_a_bearer_token_on_every_api(wire, beta):
    choice = resolve(
        "azure/mine", environ={"AZURE_OPENAI_ENDPOINT": HOST}, wire=wire, short_lived=True
    )
    target = token_endpoint("azure").dial(choice.codec().endpoint().url, Secret("e-1"))
    shown = {name: value.reveal() for name, value in target.headers.items()}
    assert shown == {
        "Authorization": "Bearer e-1",
        **({"OpenAI-Beta": "realtime=v1"} if beta else {}),
    }


@pytest.mark.parametrize(("dialect", "kind"), [(None, ServerVad), ("voice-live", SemanticVad)])
def test_the_turn_detection_by_default(dialect, kind):
    capabilities = codec_of("azure/d", environ={}, wire=dialect).capabilities
    assert isinstance(session_settings(Options(), capabilities, ()).turn_detection, kind)

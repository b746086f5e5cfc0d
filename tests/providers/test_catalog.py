"""Names, addresses and keys of providers."""

import re

import pytest

from voicechat.core.items import Usage
from voicechat.core.price import Price
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.providers.base_url import realtime_url
from voicechat.providers.catalog import (
    PROVIDERS,
    check_talks,
    local_codec,
    price_of,
    resolve,
    transcription_choice,
)
from voicechat.session.costs import CostTally

KEY = "sk-planted-0123456789abcdef"
WITH_KEY = {"OPENAI_API_KEY": KEY}


def test_a_key_in_the_query_of_a_base_url_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        realtime_url("https://host/v1?a=b&api_key=sk-1", "m")
    assert str(caught.value).startswith("The base URL of host contains a key (api_key).")
    assert "sk-1" not in str(caught.value)


def test_without_a_key_the_embedded_voice_is_used():
    choice = resolve(None, environ={})
    assert (choice.name, choice.provider) == ("local/built-in", "local")
    assert choice.needs_local_server
    assert "OPENAI_API_KEY" in choice.why
    with pytest.raises(ServerError):
        choice.codec()


@pytest.mark.parametrize("model", [None, ""])
def test_a_key_selects_openai_and_gives_the_reason(model):
    choice = resolve(model, environ=WITH_KEY)
    assert (choice.name, choice.provider) == ("openai/gpt-realtime-2.1", "openai")
    assert not choice.needs_local_server
    assert "OPENAI_API_KEY is set" in choice.why
    assert "--model local" in choice.why
    assert "marin" in choice.voices
    endpoint = choice.codec().endpoint()
    assert endpoint.url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    assert endpoint.headers["Authorization"].reveal() == f"Bearer {KEY}"


def test_a_base_url_alone_selects_the_openai_wire_without_a_key():
    choice = resolve(None, base_url="http://10.0.0.5:8000/v1", environ={})
    assert choice.name == "openai/gpt-realtime-2.1"
    assert "base URL" in choice.why
    endpoint = choice.codec().endpoint()
    assert endpoint.url == "ws://10.0.0.5:8000/v1/realtime?model=gpt-realtime-2.1"
    assert endpoint.headers == {}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("openai", "openai/gpt-realtime-2.1"),
        ("openai/gpt-realtime-2.1-mini", "openai/gpt-realtime-2.1-mini"),
        (" openai/ft:gpt/mine ", "openai/ft:gpt/mine"),
        ("local", "local/built-in"),
        ("local/built-in", "local/built-in"),
    ],
)
def test_named_models(model, name):
    choice = resolve(model, environ=WITH_KEY)
    assert choice.name == name
    assert name in choice.why


def test_local_stays_local_whatever_else_is_set():
    assert resolve("local", base_url="https://host/v1", environ=WITH_KEY).needs_local_server


@pytest.mark.parametrize(
    "model", ["nope/model", "gpt-realtime", "local/other", "/", "Openai", "x\x1b"]
)
def test_an_unknown_name_lists_the_known_ones(model):
    with pytest.raises(UsageError) as caught:
        resolve(model, environ=WITH_KEY)
    assert "local/built-in" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_invalid_names():
    with pytest.raises(UsageError, match="is not a valid model name"):
        resolve("openai/gpt realtime", environ=WITH_KEY)


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "  "}])
def test_openai_by_name_needs_a_key(environ):
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
        resolve("openai", environ=environ)


def test_a_key_may_be_a_secret_already():
    choice = resolve(None, environ={"OPENAI_API_KEY": Secret(KEY)})
    assert choice.codec().endpoint().headers["Authorization"].reveal() == f"Bearer {KEY}"


@pytest.mark.parametrize("key", [f"{KEY}\nX-Evil: 1", f"{KEY} two", f"{KEY}é", f"\x00{KEY}"])
def test_an_invalid_key_is_refused_and_not_shown(key):
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        resolve(None, environ={"OPENAI_API_KEY": key})
    assert "planted" not in str(caught.value)


def test_the_key_is_not_printed():
    choice = resolve(None, environ=WITH_KEY)
    assert KEY not in repr(choice) + repr(choice.codec()) + repr(choice.codec().endpoint())


def test_each_connection_has_a_codec_of_its_own():
    choice = resolve(None, environ=WITH_KEY)
    assert choice.codec() is not choice.codec()


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://host", "wss://host/v1/realtime?model=m"),
        ("https://host/", "wss://host/v1/realtime?model=m"),
        ("https://host/v1", "wss://host/v1/realtime?model=m"),
        ("https://host/v1/", "wss://host/v1/realtime?model=m"),
        ("http://localhost:8080/openai/v1", "ws://localhost:8080/openai/v1/realtime?model=m"),
        ("ws://127.0.0.1:1/v1/realtime", "ws://127.0.0.1:1/v1/realtime?model=m"),
        ("wss://host/v1?api-version=3&model=x", "wss://host/v1/realtime?api-version=3&model=m"),
        ("wss://[::1]:5/v1", "wss://[::1]:5/v1/realtime?model=m"),
        ("HTTPS://Host/v1#part", "wss://Host/v1/realtime?model=m"),
    ],
)
def test_addresses_below_a_base_url(base, url):
    assert realtime_url(base, "m") == url


def test_a_model_s_name_is_quoted():
    assert realtime_url("https://host", "a&b=c").endswith("?model=a%26b%3Dc")


@pytest.mark.parametrize(
    "base", ["host/v1", "ftp://host", "https://", "https://[::1", "https://h:99999", "ws://h\x1b/"]
)
def test_invalid_base_urls(base):
    with pytest.raises(UsageError, match="base URL"):
        resolve(None, base_url=base, environ={})


def test_a_password_in_a_base_url_is_refused_and_not_shown():
    with pytest.raises(UsageError, match="host") as caught:
        resolve(None, base_url=f"https://me:{KEY}@host/v1", environ={})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("host", ["voice.example", "10.0.0.5", "localhost.evil.example", "0.0.0.0"])
def test_a_key_is_never_sent_unencrypted(host):
    for scheme in ("http", "ws"):
        with pytest.raises(UsageError, match=f"unencrypted to {host}"):
            resolve(None, base_url=f"{scheme}://{host}/v1", environ=WITH_KEY)


@pytest.mark.parametrize("base", ["http://localhost:1", "ws://127.0.0.2:1", "http://[::1]:1/v1"])
def test_a_key_may_stay_on_this_machine(base):
    assert resolve(None, base_url=base, environ=WITH_KEY).codec().endpoint().headers


def test_the_embedded_voice_is_reached_with_its_token():
    endpoint = local_codec("ws://127.0.0.1:5/v1/realtime", Secret("once")).endpoint()
    assert endpoint.url == "ws://127.0.0.1:5/v1/realtime"
    assert endpoint.headers["Authorization"].reveal() == "Bearer once"


def test_the_list_of_providers_is_consistent():
    for name, provider in PROVIDERS.items():
        assert provider.name == name
        assert not provider.default_model or provider.default_model in provider.models
        assert (provider.connect is None) is (name == "local")


def test_xai_by_name():
    choice = resolve("xai", environ={"XAI_API_KEY": "xai-1"})
    endpoint = choice.codec().endpoint()
    assert endpoint.url == "wss://api.x.ai/v1/realtime?model=grok-voice-latest"
    assert endpoint.headers["Authorization"].reveal() == "Bearer xai-1"
    assert choice.codec().capabilities.commit_starts_response
    assert "ara" in choice.voices


@pytest.mark.parametrize(("variable", "name"), [("XAI_API_KEY", "xai/grok-voice-latest")])
def test_the_only_key_selects_its_provider(variable, name):
    choice = resolve(None, environ={variable: "k-1"})
    assert choice.name == name
    assert f"{variable} is set" in choice.why


def test_the_address_of_openai_is_for_openai_alone():
    environ = {"XAI_API_KEY": "xai-1", "OPENAI_BASE_URL": "https://mine.example/v1"}
    assert resolve("xai", environ=environ).codec().endpoint().url.startswith("wss://api.x.ai/")
    ours = resolve("openai", environ=environ).codec().endpoint()
    assert ours.url.startswith("wss://mine.example/v1/realtime")
    assert ours.headers == {}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere", "OPENAI_BASE_URL must be an address like https://host:port/v1."),
        ("https://host/v1?Api-Key=x", "OPENAI_BASE_URL must not hold a key or a password."),
        ("https://u:p@host/v1", "OPENAI_BASE_URL must not hold a key or a password."),
    ],
)
def test_a_wrong_address_names_its_variable_when_it_is_used(address, message):
    environ = {**WITH_KEY, "XAI_API_KEY": "k", "OPENAI_BASE_URL": address}
    with pytest.raises(UsageError) as refused:
        resolve("openai", environ=environ)
    assert refused.value.message == message
    assert resolve("xai", environ=environ).provider == "xai"


def test_a_server_with_the_beta_wire():
    choice = resolve("openai/m", base_url="https://old.example/v1", environ=WITH_KEY, wire="beta")
    assert choice.codec().endpoint().headers["OpenAI-Beta"].reveal() == "realtime=v1"
    assert "OpenAI-Beta" not in resolve("openai/m", environ=WITH_KEY).codec().endpoint().headers


def test_a_transcription_session():
    choice = resolve("openai/m", environ=WITH_KEY, purpose="transcription")
    assert choice.codec().endpoint().url == "wss://api.openai.com/v1/realtime?intent=transcription"


# ------------------------------------------------------------------------------ transcription


@pytest.mark.parametrize(
    ("model", "environ", "name", "asked"),
    [
        (None, {}, "local/built-in", None),
        (None, {"OPENAI_API_KEY": "k"}, "openai/gpt-live-transcribe", "gpt-live-transcribe"),
        (None, {"XAI_API_KEY": "k"}, "local/built-in", None),
        ("openai", {"OPENAI_API_KEY": "k"}, "openai/gpt-live-transcribe", "gpt-live-transcribe"),
        ("openai/gpt-realtime-2.1", {"OPENAI_API_KEY": "k"}, "openai/gpt-live-transcribe",
         "gpt-live-transcribe"),
        ("openai/whisper-1", {"OPENAI_API_KEY": "k"}, "openai/whisper-1", "whisper-1"),
        ("azure/my-whisper",
         {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://n.openai.azure.com"},
         "azure/my-whisper", "my-whisper"),
    ],
)  # fmt: skip
def test_transcription_models(model, environ, name, asked):
    choice, said = transcription_choice(model, environ=environ)
    assert (choice.name, said) == (name, asked)
    if not choice.needs_local_server:
        url = choice.codec().endpoint().url
        assert "intent=transcription" in url
        assert "model=" not in url


@pytest.mark.parametrize("model", ["xai", "google", "gateway/openai/gpt-realtime-2.1"])
def test_a_provider_without_transcription_is_reported_even_without_a_key(model):
    with pytest.raises(UsageError, match="has no transcription sessions"):
        transcription_choice(model, environ={})


@pytest.mark.parametrize("model", ["openai/gpt-live-1", "openai/gpt-realtime-translate"])
def test_the_error_about_a_model_that_cannot_transcribe_names_one_that_can(model):
    with pytest.raises(UsageError, match=f"^{model} has no transcription sessions") as caught:
        transcription_choice(model, environ=WITH_KEY)
    named = caught.value.hint.removeprefix("Use --model ").rstrip(".")
    assert transcription_choice(named, environ=WITH_KEY)[0].name == named


# ------------------------------------------------------------------------------ prices


def listed(provider):
    recorded = provider.transcription.models if provider.transcription else ()
    live = provider.translation_models + provider.transcription_models
    speech = provider.speech.models if provider.speech else ()
    return {*provider.models, *live, *recorded, *speech}


def test_list_prices_name_a_listed_model_and_a_date():
    priced = [(p, *entry) for p in PROVIDERS.values() for entry in p.prices.items()]
    upstream = {f"{p.name}/{name}" for p in PROVIDERS.values() for name in listed(p)}
    for provider, name, price in priced:
        assert name in listed(provider) or name in upstream
        assert not price.dated or re.fullmatch(r"20\d\d-\d\d-\d\d", price.dated)
        assert price.dated or price == Price()


def test_the_price_of_each_listed_model_is_known_or_said_to_be_unknown():
    unknown = set()
    for provider in PROVIDERS.values():
        for name in (*provider.models, *provider.translation_models):
            model = f"{provider.name}/{name}"
            if price_of(model) is None:
                unknown.add(model)
                tally = CostTally({})
                tally.used[model, "response"] = Usage(input_tokens=1)
                (sentence,) = (line for line in tally.lines(()) if "price" in line)
                assert sentence.startswith(f"The price of {model} is unknown (list of 20")
    assert unknown == {
        "xai/grok-voice-3.0",
        "gateway/spacexai/grok-voice-3.0",
        "gateway/elevenlabs/eleven-realtime-v1-mini",
        "gateway/elevenlabs/eleven-realtime-v1-max",
    }


def test_delegated_work_is_billed_apart():
    tally = CostTally({})
    tally.used["openai/gpt-live-1", "other"] = Usage(seconds=120)
    tally.used["openai/gpt-live-1", "delegation"] = Usage(input_tokens=10**6)
    assert tally.cost == pytest.approx(0.1)
    assert "delegated work not included" in "\n".join(tally.lines(()))
    assert tally.total.input_tokens == 10**6


def test_every_default_model_has_a_price():
    for provider in PROVIDERS.values():
        if provider.default_model:
            price = price_of(f"{provider.name}/{provider.default_model}")
            assert price is not None, provider.name


def test_models_with_voices_of_their_own():
    live = resolve("openai/gpt-live-1", environ={"OPENAI_API_KEY": "sk-1"})
    assert len(live.voices) == 23
    assert "willow" in live.voices
    assert "willow" not in resolve("openai", environ={"OPENAI_API_KEY": "sk-1"}).voices
    assert len(set(PROVIDERS["google"].voices)) == 30


def test_own_prices_come_first():
    own = {"openai/gpt-realtime": Price(text_in=1), "azure/mine": Price(text_in=2)}
    assert price_of("openai/gpt-realtime", own).text_in == 1
    assert price_of("openai/gpt-realtime").text_in == 4
    assert price_of("azure/mine", own).text_in == 2
    assert price_of("azure/mine") is None


def test_a_dated_model_has_the_price_of_the_model():
    assert price_of("openai/gpt-realtime-2025-08-28") == price_of("openai/gpt-realtime")
    assert price_of("openai/gpt-realtime-2000") is None


@pytest.mark.parametrize("name", ["qwen3:8b", "qwen/qwen3-8b", " Systran/x "])
def test_a_model_of_a_server_needs_no_provider(name):
    choice = resolve(name, base_url="http://127.0.0.1:8000", environ={})
    assert choice.name == f"openai/{name.strip()}"
    assert not choice.asks_server
    with pytest.raises(UsageError, match="There is no model"):
        resolve(name, environ=WITH_KEY)


def test_a_server_is_asked_for_its_model_only_if_none_is_named():
    own = {"base_url": "http://127.0.0.1:8000", "environ": {}}
    assert resolve(None, **own).asks_server
    assert resolve(None, environ={"OPENAI_BASE_URL": "http://127.0.0.1:8000"}).asks_server
    assert not resolve("openai", **own).asks_server
    assert not resolve(None, environ=WITH_KEY).asks_server
    assert not resolve(None, base_url="https://api.openai.com/v1", environ=WITH_KEY).asks_server
    assert not resolve(None, environ={}).asks_server


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("openai/whisper-1", "openai/whisper-1 only transcribes. Use voicechat transcribe"),
        ("openai/gemini-3.8-live", "is a model of google. Use --model google/gemini-3.8-live."),
        ("xai/gpt-live-1", "gpt-live-1 is a model of openai."),
    ],
)
def test_a_model_of_another_protocol_is_one_sentence(model, said):
    with pytest.raises(UsageError) as caught:
        check_talks(model, environ={})
    assert said in str(caught.value)
    check_talks(model, base_url="http://127.0.0.1:9/v1", environ={})


@pytest.mark.parametrize("model", ["openai", "openai/gpt-9-live", "google", "azure/whisper-1"])
def test_other_models_may_hold_conversations(model):
    check_talks(model, environ={})

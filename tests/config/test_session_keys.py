"""Session settings in the file, and the errors about them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from voicechat.config.loader import load
from voicechat.config.options import Options
from voicechat.config.session_keys import KEYS
from voicechat.core.price import Price
from voicechat.core.settings import (
    AudioFormat,
    Capabilities,
    McpServer,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionSettings,
    StoredPrompt,
    ToolSpec,
    Tracing,
    Transcription,
)
from voicechat.errors import Secret, UsageError
from voicechat.session.model import ChosenModel
from voicechat.session.requested_settings import session_settings

TOOLS = tuple(ToolSpec(name, "", {}) for name in ("look", "listen"))


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, environ: dict[str, str] | None = None, **flags: object) -> Options:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load(flags, environ or {}, path)

    return write


VALID = {
    'turn_detection = "server_vad"': {"turn_detection": ServerVad()},
    'turn_detection = "semantic_vad"': {"turn_detection": SemanticVad()},
    '[turn_detection]\ntype = "semantic_vad"\neagerness = "low"': {
        "turn_detection": SemanticVad("low")
    },
    "[turn_detection]\nthreshold = 0.6\nsilence_duration_ms = 700\ncreate_response = false": {
        "turn_detection": ServerVad(0.6, None, 700, create_response=False)
    },
    'transcription = "off"': {"transcription": None},
    "transcription = false": {"transcription": None},
    'transcription = "whisper-1"': {"transcription": Transcription("whisper-1")},
    'transcription = { languages = ["en", "de"], keywords = ["x"], delay = "low" }': {
        "transcription": Transcription(languages=("en", "de"), keywords=("x",), delay="low")
    },
    'noise_reduction = "far_field"': {"noise_reduction": NoiseReduction("far_field")},
    'noise_reduction = { type = "near_field", strength = 2 }': {
        "noise_reduction": NoiseReduction("near_field", 2)
    },
    'audio_format = "pcmu"': {
        "input_format": AudioFormat("pcmu", 8000),
        "output_format": AudioFormat("pcmu", 8000),
    },
    "speed = 1.1": {"speed": 1.1},
    '[pronunciation]\nNguyen = "win"\n"E. coli" = "ee coli"': {
        "pronunciation": {"Nguyen": "win", "E. coli": "ee coli"}
    },
    "max_output_tokens = 500": {"max_output_tokens": 500},
    'max_output_tokens = "inf"': {"max_output_tokens": None},
    "temperature = 1": {"temperature": 1.0},
    'reasoning_effort = "low"': {"reasoning_effort": "low"},
    'backing_model = "gpt-5.6"': {"backing_model": "gpt-5.6"},
    'translate_to = "fr"': {"translate_to": "fr"},
    "parallel_tool_calls = false": {"parallel_tool_calls": False},
    'tool_choice = "required"': {"tool_choice": "required"},
    'truncation = "disabled"': {"truncation": "disabled"},
    "truncation = { retention_ratio = 0.5, post_instructions = 900 }": {
        "truncation": RetentionRatio(0.5, 900)
    },
    'tracing = "auto"': {"tracing": "auto"},
    'tracing = { workflow_name = "w" }': {"tracing": Tracing("w")},
    'prompt = "pmpt_1"': {"prompt": StoredPrompt("pmpt_1")},
    '[prompt]\nid = "p"\nvariables = { city = "Oslo" }': {
        "prompt": StoredPrompt("p", None, {"city": "Oslo"})
    },
    'include = ["item.input_audio_transcription.logprobs"]': {
        "include": ("item.input_audio_transcription.logprobs",)
    },
    '[[mcp_servers]]\nlabel = "docs"\nurl = "https://docs.example"\nallowed_tools = ["a"]': {
        "mcp_servers": (McpServer("docs", "https://docs.example", allowed_tools=("a",)),)
    },
    '[[mcp_servers]]\nlabel = "own"\ntunnel = "t_1"\nheaders = { X-Team = "a" }'
    '\ndefer_loading = true\nallowed_callers = ["direct"]': {
        "mcp_servers": (
            McpServer(
                "own",
                tunnel="t_1",
                headers={"X-Team": "a"},
                defer_loading=True,
                allowed_callers=("direct",),
            ),
        )
    },
}


@pytest.mark.parametrize("text", VALID, ids=repr)
def test_every_key_is_read(file, text) -> None:
    assert file(text).session_settings == VALID[text]
    settings = session_settings(file(text), Capabilities(), ())
    for name, value in VALID[text].items():
        assert getattr(settings, name) == value


def test_every_setting_has_a_key() -> None:
    elsewhere = {"instructions", "voice", "output", "tools", "purpose"}
    formats = {"input_format", "output_format"}
    names = {field.name for field in fields(SessionSettings)}
    assert {*KEYS} - {"audio_format"} == names - elsewhere - formats
    assert {key.split()[0].strip("[]") for key in VALID} | {"include"} >= {*KEYS} - {"prompt"}


def test_turn_detection_off_is_push_to_talk(file) -> None:
    options = file('turn_detection = "off"')
    assert options.push_to_talk
    assert options.session_settings == {}


def test_pcm16_uses_the_rate_of_the_provider(file) -> None:
    capabilities = Capabilities(input_rates=(16_000,))
    assert (
        session_settings(file('audio_format = "pcm16"'), capabilities, ()).input_format.rate
        == 16_000
    )


INVALID = {
    'turn_detektion = "x"': ":1: turn_detektion is not a setting. Did you mean turn_detection?",
    'turn_detection = "semantik_vad"': ":1: turn_detection must be semantic_vad or server_vad or"
    " off, or a table. Did you mean semantic_vad?",
    "[turn_detection]\n\ntreshold = 1": ":3: turn_detection.treshold is not a setting."
    " Did you mean threshold?",
    '[turn_detection]\ntype = "semantic_vad"\nthreshold = 1': ":3: turn_detection.threshold is not",
    "[turn_detection]\nthreshold = 3": ":2: turn_detection.threshold must be between 0 and 1.",
    '[turn_detection]\nsilence_duration_ms = "long"': ":2: turn_detection.silence_duration_ms must"
    " be a whole number, not text.",
    "noise_reduction = 3": ":1: noise_reduction must be near_field or far_field, or a table.",
    'audio_format = "mp3"': ":1: audio_format must be pcm16 or pcmu or pcma.",
    "max_output_tokens = 0": ":1: max_output_tokens must be between 1 and 1000000.",
    'parallel_tool_calls = "x"': ":1: parallel_tool_calls must be true or false, not text.",
    "speed = 9": ":1: speed must be between 0.25 and 1.5.",
    'speed = "fast"': ":1: speed must be a number, not text.",
    'reasoning_effort = "huge"': ":1: reasoning_effort must be one of none, minimal, low, medium",
    'include = ["x"]': ":1: include must be item.input_audio_transcription.logprobs.",
    '[prompt]\nversion = "1"': ":2: prompt.version needs id.",
    '[[mcp_servers]]\nlabel = "a"\nurrl = "b"': ":3: mcp_servers.urrl is not a setting."
    " Did you mean url?",
    "mcp_servers = 3": ":1: mcp_servers must be a list, not a number.",
    "tools = 3": ":1: tools must be a list of names in quotes.",
    "profiles = 3": ":1: profiles must hold tables. Write [profiles.NAME] on a line.",
    '[profiles.work]\nmodle = "x"': ":2: modle is not a setting. Did you mean model?",
    '[profiles.work]\nkeys = "x"': ":2: keys is not a setting. See docs/settings.md.",
    'voice = "x"\n[profiles.work]\n[profiles.home]\nvoice = 3': ":4: voice must be text in quotes",
    '[prices."openai/m"]\ntext_inn = 3': ":2: text_inn is not a setting. Did you mean text_in?",
    '[prices."openai/m"]\ntext_in = "3"': ":2: text_in must be a number, not text.",
    '[prices."m"]\ntext_in = 3': ":1: 'm' is not the name of a model. Write [prices",
    '[prices."openai/m"]\ntext_in = -3': ":2: text_in must not be negative.",
    '[[mcp_servers]]\nlabel = "a"': ":1: a needs a url, a connector or a tunnel.",
    'profile = "work"': ":1: profile: There is no profile 'work'. Start one there"
    " with [profiles.work].",
    'profile = "wrok"\n[profiles.work]': ":1: profile: There is no profile 'wrok'."
    " Did you mean work?",
}


@pytest.mark.parametrize("text", INVALID, ids=repr)
def test_an_error_names_file_line_key_and_the_nearest_name(file, text) -> None:
    with pytest.raises(UsageError) as caught:
        file(text)
    assert INVALID[text] in str(caught.value)
    assert "\n" not in str(caught.value)


PROFILES = """
voice = "marin"
speed = 1.1
[turn_detection]
type = "server_vad"
[profiles.work]
model = "xai/grok-voice-latest"
voice = "eve"
instructions = "Be formal."
turn_detection = "semantic_vad"
tools = ["look"]
[profiles.home]
temperature = 0.9
"""


def test_a_profile_wins_over_the_file_only(file) -> None:
    work = file(PROFILES, profile="work")
    assert (work.model, work.voice, work.profile) == ("xai/grok-voice-latest", "eve", "work")
    assert work.session_settings == {"speed": 1.1, "turn_detection": SemanticVad()}
    assert work.tools == ("look",)
    typed = file(PROFILES, {"VOICECHAT_PROFILE": "work", "VOICECHAT_MODEL": "local"}, voice="ash")
    assert (typed.model, typed.voice, typed.instructions) == ("local", "ash", "Be formal.")
    home = file('profile = "home"\n' + PROFILES)
    assert (home.voice, home.session_settings["temperature"]) == ("marin", 0.9)
    assert file(PROFILES).session_settings == {"speed": 1.1, "turn_detection": ServerVad()}


def test_the_place_of_a_session_key_is_known(file) -> None:
    assert file("# mine\nspeed = 1.2\n").origin("speed").endswith(":2: speed")


def test_prices(file) -> None:
    options = file('[prices."openai/m"]\ntext_in = 3\naudio_out = 6.5\ndated = "2026-11-01"\n')
    assert options.prices == {"openai/m": Price(text_in=3, audio_out=6.5, dated="2026-11-01")}


def test_unsupported_settings_are_reported() -> None:
    keys = {"XAI_API_KEY": Secret("k")}
    for requested, messages in (
        ({"temperature": 0.9}, ["xai has no setting temperature: it is ignored."]),
        ({}, []),
    ):
        options = Options(model="xai", keys=keys, session_settings=requested)
        assert ChosenModel(options, lambda: TOOLS, print).unsupported_settings == messages

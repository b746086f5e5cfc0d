"""Settings: sources, precedence and errors."""

from __future__ import annotations

import os
import re
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.config import doubtful_settings
from voicechat.config.loader import holds_key, load
from voicechat.config.options import FILE_SETTINGS, SETTINGS, Options
from voicechat.core.settings import Permission, PermissionRule
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError, VoicechatError
from voicechat.system.private_files import FILE_LIMIT


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def refusal(path: Path, environ: dict[str, str] | None = None, **flags: object) -> str:
    with pytest.raises(UsageError) as caught:
        load(flags, environ or {}, path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_settings_the_defaults_apply(settings: Path) -> None:
    assert load({}, {}, settings) == Options()


def test_file_then_environment_then_flags(settings: Path) -> None:
    settings.write_text('voice = "file"\nmodel = "a/file"\nchat_model = "file"\n', encoding="utf-8")
    environ = {"VOICECHAT_VOICE": "environment", "VOICECHAT_MODEL": "a/environment"}
    options = load({"voice": "flag", "model": None}, environ, settings)
    assert (options.voice, options.model, options.chat_model) == ("flag", "a/environment", "file")


def test_the_address_of_one_provider_is_not_used_for_others(settings: Path) -> None:
    environ = {"OPENAI_BASE_URL": "https://two.example/v1", "OPENAI_API_KEY": "sk-1"}
    options = load({}, environ, settings)
    assert options.base_url is None
    assert options.environ == {**options.keys, "OPENAI_BASE_URL": "https://two.example/v1"}


def test_variables_of_unknown_providers_are_kept(settings: Path) -> None:
    kept = {"TOY_BASE_URL": "https://toy.example", "TOY_ENDPOINT": "x", "TOY_API_VERSION": "2"}
    options = load({}, {**kept, "HOME": "/", "TOY_BASE_URL_OLD": "x", "X_ENDPOINT": " "}, settings)
    assert options.variables == kept


def test_an_empty_variable_is_not_set(settings: Path) -> None:
    assert load({}, {"VOICECHAT_VOICE": " ", "OPENAI_API_KEY": ""}, settings) == Options()


@pytest.mark.parametrize(("word", "expected"), [("1", True), ("Yes", True), ("off", False)])
def test_switch_words_in_the_environment(settings: Path, word: str, expected: bool) -> None:
    assert load({}, {"VOICECHAT_PUSH_TO_TALK": word}, settings).push_to_talk is expected


def test_keys_are_secret_from_the_start(settings: Path) -> None:
    options = load({}, {"OPENAI_API_KEY": " sk-planted ", "HOME": "/x"}, settings)
    assert options.keys == {"OPENAI_API_KEY": Secret("sk-planted")}
    assert "planted" not in repr(options)
    assert options.key("XAI_API_KEY", "OPENAI_API_KEY") == Secret("sk-planted")
    assert options.key("XAI_API_KEY") is None


def test_engines_of_the_embedded_voice(settings: Path) -> None:
    settings.write_text(
        'chat_url = "http://top/v1"\n[embedded]\nstt = "wyoming://localhost:10300"\n'
        'tts = "https://x/v1"\ntts_voice = "heart"\nchat = "http://table/v1"\n'
        '[profiles.work.embedded]\nstt = "https://other/v1"\n',
        encoding="utf-8",
    )
    options = load({"tts_model": "kokoro"}, {"VOICECHAT_STT_LANGUAGE": "en"}, settings)
    assert (options.stt, options.stt_language) == ("wyoming://localhost:10300", "en")
    assert (options.tts, options.tts_model, options.tts_voice) == (
        "https://x/v1",
        "kokoro",
        "heart",
    )
    assert options.chat_url == "http://table/v1"
    assert options.origin("chat_url") == f"{settings}:6: embedded.chat"
    work = load({"profile": "work"}, {}, settings)
    assert (work.stt, work.tts) == ("https://other/v1", "https://x/v1")
    assert work.origin("stt") == f"{settings}:8: embedded.stt"


def test_each_engine_has_a_key_of_its_own() -> None:
    keys = {name: Secret(name) for name in ("VOICECHAT_STT_KEY", "OPENAI_API_KEY")}
    options = Options(stt="https://x/v1", tts="https://api.openai.com/v1", keys=keys)
    assert options.stt_key == Secret("VOICECHAT_STT_KEY")
    assert options.tts_key == Secret("OPENAI_API_KEY")
    assert options.chat_key is None


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "HF_API_TOKEN", "VOICECHAT_CHAT_KEY", "VOICECHAT_STT_KEY"]
)
def test_names_of_keys(name: str) -> None:
    assert holds_key(name)
    assert not holds_key(name.lower())


INVALID = {
    'voise = "x"': ":1: voise is not a setting. Did you mean voice?",
    "\n\nvoice = 3\n": ":3: voice must be text in quotes, not a number.",
    'barge_in = "loud"': ":1: barge_in must be one of off, low, normal, high.",
    'push_to_talk = "yes"': ":1: push_to_talk must be true or false, not text.",
    'voice = ""': ":1: voice is empty.",
    "voice = ": ":1 is not valid TOML",
    "a = 1\na = 2": "is not valid TOML",
    '[voice]\nname = "x"': ":1: voice must be text in quotes, not a table.",
    'base_url = "ftp://x"': ":1: base_url must be an address like wss://host:port/v1.",
    'base_url = "https://"': ":1: base_url must be an address",
    'base_url = "https://host/v1?a=1&api_key=x"': ":1: base_url must not hold a key or a password.",
    'token_url = "https://host/t?accessToken=x"': ":1: token_url must not hold a key",
    'base_url = "https://key@host/v1"': ":1: base_url must not hold a key or a password.",
    'chat_url = "ws://x"': ":1: chat_url must be an address like https://host:port/v1.",
    "with_sound = false": "with_sound is not a setting",
    'stt = "http://x/v1"': ":1: stt is not a setting",
    "embedded = 3": ":1: embedded must be a table. Write [embedded].",
    '[embedded]\ntts = "x"': (
        ":2: embedded.tts must be an address like wyoming://host:port or https://host:port/v1."
    ),
    '[embedded]\nstt = "wyoming://"': ":2: embedded.stt must be an address",
    '[embedded]\nstt = "wyoming://x"': ":2: embedded.stt needs a port, like wyoming://localhost:",
    '[embedded]\nchat = "wyoming://x:1"': (
        ":2: embedded.chat must be an address like https://host:port/v1."
    ),
    '[embedded]\nvoice = "x"': ":2: embedded.voice is not a setting. Did you mean ",
    '[embedded]\ntts = "https://key@host/v1"': ":2: embedded.tts must not hold a key",
    "[profiles.a.embedded]\nstt_model = 3": ":2: embedded.stt_model must be text in quotes",
    "keys = 3": ":1: keys must be a table.",
    '[keys]\nopenai = "x"': ":2: openai is not the name of a key.",
    "[keys]\nOPENAI_API_KEY = 3": ":2: OPENAI_API_KEY must be the key as text in quotes.",
    "voice = '\0'": "is not valid TOML",
}


@pytest.mark.parametrize("text", INVALID, ids=repr)
def test_an_error_names_file_line_and_key(settings: Path, text: str) -> None:
    settings.write_text(text, encoding="utf-8")
    sentence = refusal(settings)
    assert sentence.startswith(str(settings))
    assert INVALID[text] in sentence


def test_wrong_environment_and_flags_are_named(settings: Path) -> None:
    assert refusal(settings, {"VOICECHAT_ECHO_CANCEL": "maybe"}).startswith("VOICECHAT_ECHO_CANCEL")
    assert refusal(settings, input_device="").startswith("--input-device is empty.")


def test_a_byte_order_mark_is_accepted(settings: Path) -> None:
    settings.write_bytes(b'\xef\xbb\xbfvoice = "x"\r\n')
    assert load({}, {}, settings).voice == "x"


def test_unreadable_settings_files_are_refused(settings: Path, tmp_path: Path) -> None:
    settings.write_bytes(b'voice = "x"\n# \xff')
    assert ":2 is not UTF-8 text." in refusal(settings)
    with settings.open("wb") as stream:
        stream.truncate(FILE_LIMIT + 1)
    assert "larger than 1 MB" in refusal(settings)
    settings.unlink()
    settings.mkdir()
    assert "is not a file" in refusal(settings)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert "cannot be read" in refusal(loop)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert "is not a file" in refusal(fifo)
    address = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        assert "cannot be read" in refusal(Path(address))
    assert load({}, {}, tmp_path / "fifo" / "below" / "a file") == Options()


def test_a_file_with_keys_becomes_private(settings: Path) -> None:
    settings.write_text(
        '[keys]\nXAI_API_KEY = "xai-1"\nOPENAI_API_KEY = "sk-file"\n', encoding="utf-8"
    )
    settings.chmod(0o644)
    options = load({}, {"OPENAI_API_KEY": "sk-environment"}, settings)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert options.key("XAI_API_KEY") == Secret("xai-1")
    assert options.key("OPENAI_API_KEY") == Secret("sk-environment")


def test_a_file_without_keys_keeps_its_mode(settings: Path) -> None:
    settings.write_text('voice = "x"\n', encoding="utf-8")
    settings.chmod(0o644)
    load({}, {}, settings)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o644


@given(
    raw=st.binary(max_size=200)
    | st.text(alphabet='[]="#\n.voicekys3\0', max_size=60).map(str.encode)
)
def test_any_bytes_give_options_or_one_sentence(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_bytes(raw)
        try:
            load({}, {}, path)
            sentence = f"{path} is fine"
        except UsageError as error:
            sentence = str(error)
        assert sentence.startswith(str(path))
        assert path.read_bytes() == raw


NAUGHTY = [
    "", " ", "\0", "\x1b]52;c;cm0=\x07", "\u202e[/b]", "[@click=app.quit]", "../../etc/passwd",
    "$(touch x)", "'; DROP TABLE x; --", "%s%n{0.__class__}", "-1", "1e400", "NaN", "\ud800",
    "漢" * 5_000, "👩\u200d👩\u200d👧", "://", "http://[::1", "ws://u:p@h/", "null", "true",
]  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_any_text_as_an_argument_gives_options_or_one_sentence(settings: Path, name: str) -> None:
    for text in NAUGHTY:
        for flags, environ in (({name: text}, {}), ({}, {f"VOICECHAT_{name.upper()}": text})):
            sentence = ""
            try:
                load(flags, environ, settings)
            except VoicechatError as error:
                sentence = str(error)
            assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", sentence), text


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "theirs"),
        ("https://openai.com.example.org/v1", None),
        ("http://127.0.0.1:11434/v1", None),
    ],
)
def test_the_key_of_openai_is_sent_to_openai_only(url: str, name: str | None) -> None:
    keys = {"OPENAI_API_KEY": Secret("theirs")}
    key = Options(chat_url=url, keys=keys).chat_key
    assert (key.reveal() if key else None) == name
    both = Options(chat_url=url, keys={**keys, "VOICECHAT_CHAT_KEY": Secret("mine")})
    assert both.chat_key == Secret("mine")


def test_settings_without_effect_are_warnings_with_their_place(
    settings: Path, tmp_path: Path
) -> None:
    settings.write_text(f'chat_model = "x"\n\nfolders = ["{tmp_path}", "/nowhere"]\n', "utf-8")
    environ = {"VOICECHAT_VOISE": "x", "VOICECHAT_VOICE": "y", "VOICECHAT_DANCE": "z"}
    assert load({}, environ, settings).warnings == (
        "VOICECHAT_DANCE is not a variable that voicechat reads. See docs/settings.md.",
        "VOICECHAT_VOISE is not a variable that voicechat reads. Did you mean VOICECHAT_VOICE?",
        f"{settings}:1: chat_model has no effect without an address. Set --chat-url too.",
        f"{settings}:3: folders: there is no folder /nowhere. Create it, or correct the path.",
    )
    assert load({"chat_url": "http://x/v1"}, {}, settings).warnings[1:] == ()


def test_variables_that_are_read_cause_no_warning(settings: Path) -> None:
    settings.write_text(
        '[mcpServers.a]\nurl = "https://x"\nheaders = {X = "$VOICECHAT_MINE"}\n', "utf-8"
    )
    settings.chmod(0o600)
    known = [*doubtful_settings.OTHER_VARIABLES, "VOICECHAT_MINE", "VOICECHAT_MODEL"]
    assert load({}, dict.fromkeys(known, "x"), settings).warnings == ()


def test_every_variable_in_the_code_is_known() -> None:
    source = "".join(
        path.read_text("utf-8")
        for path in Path(doubtful_settings.__file__).parents[1].rglob("*.py")
        if path.name != "doubtful_settings.py"
    )
    used = set(re.findall(r'"(VOICECHAT_[A-Z]+(?:_[A-Z]+)*)"', source))
    known = {each.variable for each in FILE_SETTINGS.values()}
    assert used - known == set(doubtful_settings.OTHER_VARIABLES)


@pytest.mark.parametrize("name", ["stt_model", "stt_language", "tts_model", "tts_voice"])
def test_a_setting_of_an_engine_without_its_address(settings: Path, name: str) -> None:
    settings.write_text(f'[embedded]\n{name} = "x"\n', encoding="utf-8")
    assert load({}, {}, settings).warnings == (
        f"{settings}:2: embedded.{name} has no effect without an address. Set --{name[:3]} too.",
    )


def test_a_flag_without_effect_is_an_error(settings: Path) -> None:
    message = refusal(settings, chat_model="x")
    assert message == "--chat-model has no effect without an address. Set --chat-url too."


def test_an_option_knows_where_it_was_set(settings: Path) -> None:
    text = 'voice = "x"\n[permissions]\ndance = "ask"\n[profiles.a]\ntools = ["x"]\n'
    settings.write_text(text + '[profiles.a.permissions]\nsing = "never"\n', encoding="utf-8")
    options = load({}, {}, settings)
    assert options.origin("voice") == f"{settings}:1: voice"
    assert options.origin("permissions.dance") == f"{settings}:3: dance"
    assert options.origin("tools") == "tools", "it was not set"
    options = load({"profile": "a"}, {"VOICECHAT_VOICE": "x"}, settings)
    assert options.origin("voice") == "VOICECHAT_VOICE"
    assert options.origin("tools") == f"{settings}:5: tools"
    assert options.origin("permissions.sing") == f"{settings}:7: sing"
    assert load({"voice": "x"}, {}, settings).origin("voice") == "--voice"


def test_an_unknown_profile_is_named_with_its_place(settings: Path) -> None:
    settings.write_text('\nprofile = "nope"\n[profiles.work]\n', encoding="utf-8")
    assert refusal(settings) == (f"{settings}:2: profile: There is no profile 'nope'. Use work.")
    assert refusal(settings, profile="wrok") == (
        f"{settings} has no profile 'wrok'. Did you mean work?"
    )
    settings.write_text("", encoding="utf-8")
    start = "Start one there with [profiles.wrok]."
    assert refusal(settings, profile="wrok") == (
        f"There is no profile 'wrok': {settings} has no profiles. {start}"
    )
    settings.unlink()
    assert refusal(settings, profile="wrok") == (
        f"There is no profile 'wrok': {settings} does not exist. {start}"
    )


def test_permissions_may_be_rules_for_arguments(settings: Path) -> None:
    text = """
[permissions]
fetch_page = "ask"
run_command = { auto = ["git status*"], never = ["rm *"] }
lights = { permission = "auto", ask = [{ room = "cellar", on = "true" }] }
"""
    settings.write_text(text, encoding="utf-8")
    options = load(environ={}, path=settings)
    assert options.permissions == {"fetch_page": Permission.ASK, "lights": Permission.AUTO}
    assert options.permission_rules == {
        "run_command": (
            PermissionRule(Permission.AUTO, (("", "git status*"),)),
            PermissionRule(Permission.NEVER, (("", "rm *"),)),
        ),
        "lights": (PermissionRule(Permission.ASK, (("room", "cellar"), ("on", "true"))),),
    }
    assert options.origin("permissions.run_command") == f"{settings}:4: run_command"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ('{ allow = ["x"] }', ":2: run_command.allow is not a permission."),
        ('{ auto = "x" }', ":2: run_command.auto must be a list of patterns in quotes."),
        ("{ auto = [1] }", ":2: run_command.auto must be a list of patterns in quotes."),
        ('{ auto = [""] }', ":2: run_command.auto must be a list of patterns in quotes."),
        ("{ auto = [{}] }", ":2: run_command.auto must be a list of patterns in quotes."),
        ('{ auto = ["\\u001b"] }', ":2: run_command.auto must be a list of patterns in quotes."),
        ('{ permission = "maybe" }', ":2: run_command must be one of auto, ask, never."),
        ("{ ask = [" + '"x", ' * 101 + "] }", ":2: run_command has more than 100 rules."),
    ],
)
def test_a_wrong_rule_is_one_sentence(settings: Path, value: str, sentence: str) -> None:
    settings.write_text(f"[permissions]\nrun_command = {value}\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load(environ={}, path=settings)
    assert sentence in str(caught.value)


HOSTILE_KEY = r'"\u001b]0;owned\u0007\u202e"'


@pytest.mark.parametrize(
    "text",
    [
        f"{HOSTILE_KEY} = 1",
        f"[embedded]\n{HOSTILE_KEY} = 1",
        f"[profiles.{HOSTILE_KEY}]\nx = 1",
        f"[keys]\n{HOSTILE_KEY} = 'x'",
        f"[permissions]\n{HOSTILE_KEY} = 'x'",
        f"[permissions]\nx = {{ {HOSTILE_KEY} = 1 }}",
        f"[prices.{HOSTILE_KEY}]\nx = 1",
        f"[prices.'a/b']\n{HOSTILE_KEY} = 1",
        f"[mcpServers.{HOSTILE_KEY}]\nx = 1",
        f"[mcpServers.a]\n{HOSTILE_KEY} = 1",
        f"[endpoints.{HOSTILE_KEY}]\nx = 1",
        f"[endpoints.a]\n{HOSTILE_KEY} = 1",
        f"[turn_detection]\n{HOSTILE_KEY} = 1",
        f"tools = [{HOSTILE_KEY}]\nprofile = {HOSTILE_KEY}",
        f"voice = 1\n{HOSTILE_KEY} = 1",
    ],
)
def test_no_control_character_of_a_key_reaches_a_message(settings: Path, text: str) -> None:
    settings.write_text(text + "\n", encoding="utf-8")
    try:
        shown = " ".join(load({}, {}, settings).warnings)
    except UsageError as error:
        shown = str(error)
    assert clean(shown) == shown

"""The table `[gateway]` of the settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.errors import Secret, UsageError


def loaded(tmp_path: Path, text: str) -> Options:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return loader.load(environ={"OPENAI_API_KEY": "sk-mine", "PLAIN": "x"}, path=path)


def test_options_have_the_shape_of_the_gateway(tmp_path: Path) -> None:
    options = loaded(
        tmp_path,
        '[gateway]\ntags = ["docs"]\nuser = "alice"\nonly = ["openai"]\n'
        '[gateway.byok]\nopenai = { apiKey = "$OPENAI_API_KEY" }\n',
    )
    byok = {"openai": [{"apiKey": Secret("sk-mine")}]}
    assert options.gateway == {"tags": ["docs"], "user": "alice", "only": ["openai"], "byok": byok}
    assert "sk-mine" not in repr(options)
    assert options.warnings == ()


def test_credentials_without_their_variable_are_left_out(tmp_path: Path) -> None:
    options = loaded(tmp_path, '[gateway.byok]\nxai = { apiKey = "$XAI_API_KEY" }\n')
    assert options.gateway == {}
    (warning,) = options.warnings
    assert warning.endswith("config.toml:2: gateway.byok.xai is not used: $XAI_API_KEY is not set.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gateway = 1", "gateway must be a table"),
        ("[gateway]\ntag = []", "tag"),
        ("[gateway]\ntags = 'x'", "gateway.tags must be a list of texts in quotes."),
        ("[gateway]\nuser = 7", "gateway.user must be text in quotes."),
        ("[gateway]\nbyok = []", "gateway.byok must be a table."),
        ("[gateway.byok]\nopenai = 'x'", "gateway.byok.openai must be a table of texts"),
        ("[gateway.byok]\nopenai = { 'a b' = 'x' }", "holds 'a b', which cannot be sent"),
    ],
    ids=range(7),
)
def test_a_wrong_value_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)

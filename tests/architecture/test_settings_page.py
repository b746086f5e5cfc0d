"""The settings page documents every key, variable and flag of the code."""

from __future__ import annotations

import re
from pathlib import Path

from asset_scripts import script

from voicechat import errors
from voicechat.errors import VoicechatError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
INTERNAL = {
    "VOICECHAT_KEYS_ON_INPUT",
    "VOICECHAT_PARENT_WATCH",
    "VOICECHAT_FORBIDDEN_TOOLS",
    "VOICECHAT_USER_NOTEBOOK",
    "VOICECHAT_WARM_SPEECH",
}
"""Variables that voicechat sets for its own child processes."""


def test_the_page_is_current() -> None:
    current = script("make_settings_reference").settings_page()
    assert PAGE.read_text(encoding="utf-8") == current, "run assets/make_settings_reference.py"


def test_the_page_names_every_variable_in_the_code() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "voicechat").rglob("*.py")
    )
    used = set(re.findall(r"\bVOICECHAT_[A-Z]+(?:_[A-Z]+)*\b", source)) - INTERNAL
    page = PAGE.read_text(encoding="utf-8")
    assert {name for name in used if f"`{name}`" not in page} == set()
    named = set(re.findall(r"`(VOICECHAT_[A-Z_]+)`", page))
    assert len(named) > 15


def test_the_error_tree_documents_every_exit_code() -> None:
    kinds = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, VoicechatError)
    ]
    assert len(kinds) > 5
    for kind in kinds:
        assert re.search(rf"{kind.__name__} +{kind.exit_code} ", errors.__doc__ or ""), kind

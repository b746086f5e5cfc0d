"""The decision about a call: rules by caller and time, and functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from importlib import invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from voicechat.calls import call_rules
from voicechat.calls.call_rules import AnswerRules, CallDecision, load_function
from voicechat.calls.incoming_call import IncomingCall
from voicechat.config import loader
from voicechat.config.call_settings import CallRule, CallSettings
from voicechat.errors import Secret, UsageError

MONDAY = datetime(2026, 11, 30, 10, 0)
SUNDAY = datetime(2026, 11, 29, 10, 0)


def call(caller: str = "+15551234567") -> IncomingCall:
    return IncomingCall("rtc_1", caller, "+15550009999", (("From", caller),))


async def decided(*rules: CallRule, at: datetime = MONDAY, **more: Any) -> CallDecision:
    return await AnswerRules(CallSettings(rules=rules, **more)).decide(call(), at)


async def test_the_first_rule_that_covers_a_call_decides() -> None:
    other = CallRule("reject", caller="+1666*")
    first = CallRule("accept", caller="+1555*", profile="support")
    second = CallRule("reject", code=486)
    assert await decided(other, first, second) == CallDecision("accept", "support", 603)
    assert await decided(other, second, first) == CallDecision("reject", None, 486)
    assert await decided(other) == CallDecision("reject", None, 603)
    assert await decided(other, default="accept", profile="p") == CallDecision("accept", "p", 603)
    assert (await AnswerRules(CallSettings()).decide(call(""), MONDAY)).action == "reject"


@pytest.mark.parametrize(
    ("hours", "minute", "covers"),
    [
        ((540, 1020), 539, False),
        ((540, 1020), 540, True),
        ((540, 1020), 1019, True),
        ((540, 1020), 1020, False),
        ((1320, 360), 1330, True),
        ((1320, 360), 100, False),
        ((1320, 360), 700, False),
        (None, 0, True),
    ],
)
def test_hours_are_local_and_may_pass_midnight(
    hours: tuple[int, int] | None, minute: int, covers: bool
) -> None:
    rule = CallRule("accept", hours=hours, days=frozenset({0}))
    at = MONDAY.replace(hour=minute // 60, minute=minute % 60)
    assert rule.covers("", at) is covers
    assert not rule.covers("", SUNDAY)
    # The night of Monday ends on Tuesday.
    night = CallRule("accept", hours=(1320, 360), days=frozenset({0}))
    assert night.covers("", datetime(2026, 12, 1, 5, 0))


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], CallRule]:
    """Return a rule whose function, in the folder of the user, has this body."""
    folder = call_rules.functions_folder()
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def made(body: str) -> CallRule:
        name = f"my_calls_{abs(hash(body))}"
        (folder / f"{name}.py").write_text(body, encoding="utf-8")
        invalidate_caches()
        return CallRule(function=f"{name}:decide", profile="p")

    return made


ANSWERS = {
    "return 'accept'": CallDecision("accept", "p"),
    "return 'reject'": CallDecision("reject", "p"),
    "return 404": CallDecision("reject", "p", 404),
    "return {'action': 'accept', 'profile': 'x'}": CallDecision("accept", "x"),
    "return {'action': 'reject', 'code': 486}": CallDecision("reject", "p", 486),
    "return None": CallDecision("reject", None, 600),
    "return 'accept' if call.caller.startswith('+1555') else None": CallDecision("accept", "p"),
}


@pytest.mark.parametrize("body", ANSWERS)
async def test_a_function_decides(body: str, functions: Callable[[str], CallRule]) -> None:
    for kind in ("def", "async def"):
        rule = functions(f"{kind} decide(call):\n    {body}\n")
        expected = ANSWERS[body]
        found = await decided(rule, CallRule("reject", code=600))
        assert (found.action, found.profile) == (expected.action, expected.profile)
        assert found.code == expected.code or expected.action == "accept"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise KeyError(call.caller)", "failed with KeyError"),
        ("return 'maybe'", "failed with ValueError"),
        ("return {'action': 'accept', 'x': 1}", "failed with ValueError"),
        ("return {'action': 'reject', 'code': 99}", "failed with ValueError"),
        ("import threading; threading.Event().wait()", "took longer"),
    ],
)
async def test_a_function_that_fails_or_hangs_rejects(
    body: str, problem: str, functions: Callable[[str], CallRule], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_rules, "FUNCTION_S", 0.3)
    found = await decided(functions(f"def decide(call):\n    {body}\n"), default="accept")
    assert (found.action, found.code) == ("reject", 480)
    assert problem in found.problem
    assert "+1555" not in found.problem


@pytest.mark.parametrize(
    "name", ["no_such_module:decide", "json:nothing", "json:__name__", "no_such_entry_point"]
)
def test_a_function_that_does_not_exist_is_one_sentence(name: str) -> None:
    with pytest.raises(UsageError) as error:
        load_function(name)
    assert name.split(":")[0] in error.value.message


# ----------------------------------------------------------------------- settings

FILE = """\
[calls]
profile = "phone"
tools = ["calculate"]
auto = ["calculate"]
hang_up = true
at_once = 3
minutes = 5.5
greeting = "Say hello."

[calls.transfers]
sales = "tel:+1 555"

[[calls.rules]]
caller = "+1555*"
days = ["Mon", "fri"]
hours = "09:00-17:30"
action = "accept"
profile = "support"

[[calls.rules]]
function = "json:loads"
code = 486

[profiles.phone]
voice = "cedar"
[profiles.support]
"""


def loaded(tmp_path: Path, text: str, **environ: str) -> Any:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return loader.load(environ=environ, path=path)


def test_the_table_is_read(tmp_path: Path) -> None:
    options = loaded(
        tmp_path, FILE.replace("+1 555", "+15551"), OPENAI_WEBHOOK_SECRET="whsec_planted"
    )
    found = options.calls
    assert (found.profile, found.at_once, found.minutes, found.hang_up) == ("phone", 3, 5.5, True)
    assert found.rules[0] == CallRule(
        "accept", "", "+1555*", frozenset({0, 4}), (540, 1050), "support"
    )
    assert found.rules[1] == CallRule(function="json:loads", code=486)
    assert found.profiles == ("phone", "support")
    assert options.key("OPENAI_WEBHOOK_SECRET") == Secret("whsec_planted")
    assert "planted" not in repr(options)
    keyed = loaded(tmp_path, '[keys]\nOPENAI_WEBHOOK_SECRET = "whsec_x"\n')
    assert keyed.key("OPENAI_WEBHOOK_SECRET") == Secret("whsec_x")
    assert keyed.calls is None


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("calls = 1", "calls must be a table"),
        ("[calls]\nprofil = 'x'", "Did you mean profile?"),
        ("[calls]\ndefault = 'maybe'", "must be one of accept, reject"),
        ("[calls]\nat_once = 0", "calls.at_once must be between 1 and 500"),
        ("[calls]\nminutes = true", "must be between 1 and 600"),
        ("[calls]\ncode = 200", "calls.code must be a code of SIP"),
        ("[calls]\nhang_up = 'yes'", "must be true or false"),
        ("[calls]\nrules = 'x'", "must be tables"),
        ("[calls]\ntransfers = 'x'", "must be a table"),
        ("[calls.transfers]\nsales = 'call them'", "tel:+15551234567"),
        ("[calls.transfers]\n'a;b' = 'tel:+1555'", "must have names"),
        ("[[calls.rules]]\ncaller = '*'", "must be set, and not both"),
        ("[[calls.rules]]\naction = 'accept'\nfunction = 'a:b'", "must be set, and not both"),
        ("[[calls.rules]]\naction = 'accept'\ndays = ['someday']", "must be a list of mon, tue"),
        ("[[calls.rules]]\naction = 'accept'\nhours = '9-5'", "a time of day"),
        ("[[calls.rules]]\naction = 'accept'\nhours = '09:00-25:00'", "a time of day"),
        ("[[calls.rules]]\naction = 'accept'\nhours = '09:00-09:00'", "a time of day"),
        ("[[calls.rules]]\naction = 'accept'\ncallers = '*'", "Did you mean caller?"),
    ],
)
def test_a_wrong_table_is_one_sentence(line: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        loaded(tmp_path, line)
    assert part in str(error.value)
    assert "config.toml:" in str(error.value)

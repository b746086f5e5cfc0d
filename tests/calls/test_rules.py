"""The decision about a call: rules by caller and time, and functions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from voicechat.calls import call_functions
from voicechat.calls.call_desk import CallDesk
from voicechat.calls.call_rules import AnswerRules, CallDecision
from voicechat.calls.incoming_call import IncomingCall
from voicechat.config import loader
from voicechat.config.call_settings import CallRule, CallSettings
from voicechat.config.options import Options
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


@pytest.mark.skipif(not available_timezones(), reason="has no time zones")
@pytest.mark.parametrize("month", [1, 7])
async def test_hours_are_those_of_the_time_zone_in_summer_and_winter(month: int) -> None:
    """A server in UTC answers at 9 in Berlin: at 8 in winter, at 7 in summer."""
    rule = CallRule("accept", hours=(540, 541))
    settings = CallSettings(rules=(rule,), timezone=ZoneInfo("Europe/Berlin"))
    at = datetime(2026, month, 15, 8 if month == 1 else 7, 0, tzinfo=UTC)
    lines: list[str] = []
    desk = CallDesk({None: Options()}, settings, lines.append, lines.append, now=at.astimezone)
    decided_at = desk._now(settings.timezone)
    assert (await AnswerRules(settings).decide(call(), decided_at)).action == "accept"


# ----------------------------------------------------------------------- functions

ANSWERS = {
    "return 'accept'": CallDecision("accept", "p"),
    "return 'reject'": CallDecision("reject", "p"),
    "return 404": CallDecision("reject", "p", 404),
    "return {'action': 'accept', 'profile': 'x'}": CallDecision("accept", "x"),
    "return {'action': 'reject', 'code': 486}": CallDecision("reject", "p", 486),
    "return None": CallDecision("reject", None, 600),
    "return 'accept' if call.caller.startswith('+1555') else None": CallDecision("accept", "p"),
    "return 'accept' if call.header('FROM') else None": CallDecision("accept", "p"),
}
PROBLEMS = {
    "raise KeyError(call.caller)": "failed with KeyError in line",
    "import sys; sys.exit(0)": "failed with SystemExit in line",
    "return 'maybe'": "gave no decision",
    "return True": "gave no decision",
    "return {'action': 'accept', 'x': 1}": "gave no decision",
    "return {'action': 'reject', 'code': 99}": "gave no code of SIP",
    "return {'action': 'accept', 'profile': 7}": "gave no name of a profile",
    "return call": "returned IncomingCall, which is no decision",
    "return {'action': 'accept' * 100_000}": "gave an answer that is too long",
    "import os; os._exit(3)": "its process ended with exit code 3",
}


def written(name: str, text: str) -> None:
    """Write a module into the folder of the user's own functions."""
    folder = call_functions.functions_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")


class Asked:
    """Rules with a function for each body. A call reaches the one with the number of its caller."""

    def __init__(self, bodies: Sequence[str]) -> None:
        kinds = ("def", "async def")
        written(
            "my_office",
            "".join(
                f"{kinds[at % 2]} f{at}(call):\n    {body}\n" for at, body in enumerate(bodies)
            ),
        )
        rules = [
            CallRule(function=f"my_office:f{at}", caller=f"+1555{at:03}", profile="p")
            for at in range(len(bodies))
        ]
        last = CallRule("reject", code=600)
        self.rules = AnswerRules(CallSettings(default="accept", rules=(*rules, last)))

    async def about(self, number: int) -> CallDecision:
        return await self.rules.decide(call(f"+1555{number:03}"), MONDAY)


async def test_functions_decide_in_a_process_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What hangs, ends its process or answers nonsense rejects its own call only."""
    monkeypatch.setattr(call_functions, "FUNCTION_S", 30.0)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    secret = "import os; return 404 if os.environ.get('OPENAI_API_KEY') else 'accept'"
    bodies = ["while True: pass", secret, *ANSWERS, *PROBLEMS]
    asked = Asked(bodies)
    await asked.rules.load()
    assert (await asked.about(1)).action == "accept", "keys of providers are not its business"
    for body, expected in ANSWERS.items():
        found = await asked.about(bodies.index(body))
        assert (found.action, found.profile) == (expected.action, expected.profile), body
        assert found.code == expected.code or expected.action == "accept", body
    for body, problem in PROBLEMS.items():
        found = await asked.about(bodies.index(body))
        assert (found.action, found.code) == ("reject", 480), body
        assert problem in found.problem, found.problem
        assert "+1555" not in found.problem
    monkeypatch.setattr(call_functions, "FUNCTION_S", 0.3)
    assert "took longer than 0.3 s" in (await asked.about(0)).problem
    await asked.rules.close()


@pytest.mark.parametrize(
    "name", ["no_such_module:decide", "json:nothing", "json:__name__", "no_such_entry_point"]
)
async def test_a_function_that_does_not_exist_is_one_sentence(name: str) -> None:
    rules = AnswerRules(CallSettings(rules=(CallRule(function=name),)))
    with pytest.raises(UsageError) as error:
        await rules.load()
    assert name.split(":")[0] in error.value.message
    assert str(call_functions.functions_folder()) in error.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
async def test_a_function_that_others_can_change_is_refused() -> None:
    written("shared_office", "def decide(call): return 'accept'\n")
    (call_functions.functions_folder() / "shared_office.py").chmod(0o666)
    rules = AnswerRules(CallSettings(rules=(CallRule(function="shared_office:decide"),)))
    with pytest.raises(UsageError, match="Others can write"):
        await rules.load()


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
        ("[calls]\ntimezone = 'Mars/Base'", "must be the name of a time zone"),
        ("[calls]\ntimezone = '../etc/passwd'", "must be the name of a time zone"),
        ("[calls]\ncode = 200", "calls.code must be a code of SIP"),
        ("[calls]\nhang_up = 'yes'", "must be true or false"),
        ("[calls]\nrules = 'x'", "must be tables"),
        ("[calls]\ntransfers = 'x'", "must be a table"),
        ("[calls.transfers]\nsales = 'call them'", "tel:+15551234567"),
        ("[calls.transfers]\n'a;b' = 'tel:+1555'", "must have names"),
        ("[[calls.rules]]\ncaller = '*'", "must be set, and not both"),
        ("[[calls.rules]]\naction = 'accept'\nfunction = 'a:b'", "must be set, and not both"),
        ("[[calls.rules]]\naction = 'accept'\ndays = ['someday']", "must be a list of mon, tue"),
        ("[[calls.rules]]\nfunction = 'a:b'\naccess = 'root'", "must be one of files, network"),
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

"""Rules by argument: what they cover, which wins, and that no compound line runs by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.settings import Permission, PermissionRule
from voicechat.tools.builtin import shell
from voicechat.tools.functions import tool
from voicechat.tools.permission_rules import ArgumentRules, commands, covers, simple_command
from voicechat.tools.permissions import Approvals, ignored, permitted
from voicechat.tools.tool_context import ToolContext

AUTO, ASK, NEVER = Permission

(RUN,) = shell.tools(ToolContext())


def rules(**patterns: str | list[str]) -> tuple[PermissionRule, ...]:
    """Rules for the first argument, by permission."""
    return tuple(
        PermissionRule(Permission(word), (("", text),))
        for word, texts in patterns.items()
        for text in ([texts] if isinstance(texts, str) else texts)
    )


def of_command(line: str, *wanted: PermissionRule, **more: object) -> Permission | None:
    found = ArgumentRules(wanted, RUN.spec.parameters, RUN.command)
    return found.permission(json.dumps({"command": line, **more}))


GIT = rules(auto="git status*", ask="git push*", never="rm *")


@pytest.mark.parametrize(
    ("line", "permission"),
    [
        ("git status", AUTO),
        ("git   'status' -s", AUTO),
        ('git status "a;b"', AUTO),
        ("git log", None),
        ("GIT_PAGER=x git status", None),
        ("git push origin", ASK),
        ("rm -r x", NEVER),
        ("git status; rm -r x", NEVER),
        ("git status && git push", ASK),
        ("echo $(rm -r x)", NEVER),
        ("echo `rm -r x`", NEVER),
        ("rm\t-r 'x", NEVER),
    ],
)
def test_a_rule_covers_the_words_of_a_command(line: str, permission: Permission | None) -> None:
    assert of_command(line, *GIT) is permission


@pytest.mark.parametrize(
    "more",
    ["; id", ";id", " & id", "| id", " || id", "&& id", " > file", ">>file", " < file", " <(id)",
     " $(id)", " `id`", "\nid", "\rid", ' "$(id)"', ' "`id`"', " $HOME", " ${HOME}", " \\\nid",
     " (id)", " 2>&1", " 'open", "\0id"],
)  # fmt: skip
def test_a_compound_line_never_runs_by_a_rule(more: str) -> None:
    wanted = rules(auto=["git status*", "git *"])
    assert of_command("git status", *wanted) is AUTO
    assert of_command(f"git status{more}", *wanted) is None
    assert ArgumentRules(wanted, RUN.spec.parameters, "command").pattern(
        json.dumps({"command": f"git status{more}"})
    ) == ""  # fmt: skip


@given(st.text(alphabet="git status;&|<>()$`\\'\"\n -*", max_size=30))
def test_a_line_that_runs_by_a_rule_has_no_unquoted_operator(more: str) -> None:
    if of_command(f"git status {more}", *GIT) is AUTO:
        assert not set(more) & set("$`\\\n")
        assert len(commands(f"git status {more}")) == 1
        assert simple_command(simple_command(f"git status {more}")).startswith("git status")


@pytest.mark.parametrize(
    ("wanted", "permission"),
    [
        (rules(auto="git *", ask="git push*"), ASK),
        (rules(auto="git push -f*", ask="git push*"), AUTO),
        (rules(auto="git push -[ef]", ask="git push -?"), ASK),
        (rules(auto="git push -f", never="git*"), NEVER),
        (rules(auto="git *", ask="git *"), ASK),
    ],
)
def test_never_wins_and_then_the_most_specific(
    wanted: tuple[PermissionRule, ...], permission: Permission
) -> None:
    assert of_command("git push -f", *wanted) is permission


def test_other_arguments_must_have_their_defaults_to_run_by_a_rule() -> None:
    assert of_command("git status", *GIT, access="files") is AUTO
    assert of_command("git status", *GIT, access="all") is None
    assert of_command("git status", *GIT, unknown=1) is None
    assert of_command("rm x", *GIT, access="all") is NEVER
    both = PermissionRule(AUTO, (("command", "git pull"), ("access", "network")))
    assert of_command("git pull", both, access="network") is AUTO
    assert of_command("git pull", both) is None


@tool
def lights(room: str, on: bool, level: int = 1) -> None:
    """Turn lights on or off."""


@pytest.mark.parametrize(
    ("arguments", "permission"),
    [
        ('{"room": "kitchen", "on": true}', AUTO),
        ('{"room": "kitchen", "on": true, "level": 1}', AUTO),
        ('{"room": "kitchen", "on": true, "level": 2}', None),
        ('{"room": "hall", "on": true}', None),
        ('{"room": "cellar", "on": false}', NEVER),
        ('{"room": "kitchen", "room": "cellar", "on": true}', ASK),
        ("[1]", ASK),
        ("{", ASK),
        (json.dumps({"room": "kitchen", "on": "x" * 20_000}), ASK),
    ],
)
def test_rules_name_arguments(arguments: str, permission: Permission | None) -> None:
    wanted = (
        PermissionRule(AUTO, (("room", "kit*"), ("on", "true"))),
        *rules(never="cellar"),
    )
    assert ArgumentRules(wanted, lights.spec.parameters).permission(arguments) is permission


def test_the_offered_pattern_covers_exactly_the_call() -> None:
    found = ArgumentRules((), RUN.spec.parameters, "command")
    pattern = found.pattern(json.dumps({"command": "ls  '*.py' [a]"}))
    assert pattern == "ls '[*].py' '[[]a]'"
    assert of_command("ls '*.py' [a]", *rules(auto=pattern)) is AUTO
    assert of_command("ls 'x.py' [a]", *rules(auto=pattern)) is None
    assert covers("ls *", pattern)
    assert not covers("rm *", pattern)
    assert found.pattern('{"command": "git pull", "access": "network"}') == ""
    assert ArgumentRules((), lights.spec.parameters).pattern('{"room": "hall"}') == ""


def test_an_approved_pattern_is_kept_listed_and_revoked(tmp_path: Path) -> None:
    path = tmp_path / "approvals.json"
    assert Approvals(path).allow(RUN, "git status*")
    assert not Approvals(path).allow(RUN)
    again = Approvals(path)
    assert not again.allows(RUN)
    (spec,) = permitted([RUN], {}, again)
    assert spec.permission is ASK
    assert spec.rules is not None
    assert spec.rules.permission('{"command": "git status -s"}') is AUTO
    assert [(rule.shown, rule.is_approved) for rule in spec.rules.rules] == [("git status*", True)]
    assert again.revoke("run_command")
    (spec,) = permitted([RUN], {}, Approvals(path))
    assert spec.rules is not None
    assert spec.rules.permission('{"command": "git status -s"}') is None


def test_a_rule_without_effect_is_reported_and_ignored(tmp_path: Path) -> None:
    approvals = Approvals(tmp_path / "approvals.json")

    @tool(asks_always=True)
    def burn(plant: str) -> None:
        """Burn a plant."""

    wanted = {"run_command": rules(auto=["*", "?s"]), "burn": rules(auto="weed")}
    for spec in permitted([RUN, burn], {}, approvals, wanted):
        assert spec.rules is None or spec.rules.rules == ()
    found = [each for one in (RUN, burn) for each in ignored(one, AUTO, wanted[one.spec.name])]
    assert [sentence for sentence, _ in found] == [
        "“auto” has no effect; this tool always asks.",
        "“*” has no effect.",
        "“?s” has no effect.",
        "“auto” has no effect; this tool always asks.",
        "“weed” has no effect; this tool always asks.",
    ]
    wrong = (PermissionRule(NEVER, (("rom", "cellar"),)),)
    ((sentence, _),) = ignored(lights, None, wrong)
    assert sentence == "lights has no argument 'rom'."

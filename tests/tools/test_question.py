"""Questions of MCP servers to the user."""

from __future__ import annotations

import asyncio

import pytest

from voicechat.core import effects
from voicechat.errors import UsageError
from voicechat.tools.mcp.mcp_elicitation import form_fields, is_web_page
from voicechat.tools.question import MAX_WAITING, Answer, Questions, read_values

SCHEMA = {
    "type": "object",
    "required": ["name", "color"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "Yours", "maxLength": 12},
        "color": {"type": "string", "enum": ["r", "g"], "enumNames": ["red", "green"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tall": {"type": "boolean", "default": True},
        "likes": {"type": "array", "items": {"anyOf": [{"const": "a", "title": "Apples"},
                                                       {"const": "b"}]}},
    },
}  # fmt: skip


def fields(schema: dict = SCHEMA):  # type: ignore[no-untyped-def]
    found = form_fields(schema)
    assert found is not None
    return found


def test_a_form_shows_what_each_field_needs() -> None:
    assert {each.name: each.shown for each in fields()} == {
        "name": "Name: Yours",
        "color": "one of red, green",
        "age": "a number; not required",
        "tall": "yes or no; default True",
        "likes": "one or more of Apples, b; not required",
    }


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("name=Ada Lovelace color=RED", {"name": "Ada Lovelace", "color": "r", "tall": True}),
        (
            "color=g name=x age=36 tall=no likes=apples, B",
            {"name": "x", "color": "g", "age": 36, "tall": False, "likes": ["a", "b"]},
        ),
    ],
)
def test_typed_values_are_read(text: str, values: dict[str, object]) -> None:
    assert read_values(fields(), text) == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name is missing. Write name=VALUE."),
        ("Ada", "'Ada' belongs to no field."),
        ("name=x", "color is missing."),
        ("name=x color=blue", "color must be one of red, green."),
        ("name=abcdefghijklm color=r", "name has 13 characters; it must be at most 12."),
        ("name=x color=r age=old", "age must be a whole number."),
        ("name=x color=r age=200", "age is 200; it must be at most 150."),
        ("name=x color=r tall=maybe", "tall must be yes or no."),
        ("name=x color=r likes=c", "likes must be one of Apples, b."),
    ],
)
def test_a_wrong_value_gives_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_values(fields(), text)
    assert str(caught.value).startswith(says)


def test_the_only_field_needs_no_name() -> None:
    only = fields({"properties": {"n": {"type": "number"}}})
    assert read_values(only, " 2.5 ") == {"n": 2.5}
    assert read_values(only, "n=2") == {"n": 2.0}
    assert read_values(only, "") == {}
    for text in ("nan", "inf", "-inf"):
        with pytest.raises(UsageError, match="n must be a number"):
            read_values(only, text)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "object"}}},
        {"properties": {"a": 1}},
        {"properties": {"a b": {"type": "string"}}},
        {"properties": {"a\x1b": {"type": "string"}}},
        {"properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"properties": {f"a{n}": {"type": "string"} for n in range(50)}},
        {"properties": [1]},
        {"properties": {"a" * 101: {"type": "string"}}},
        {"properties": {"a\u202e": {"type": "string"}}},
    ],
    ids=repr,
)
def test_other_schemas_are_not_forms(schema: dict[str, object]) -> None:
    assert form_fields(schema) is None


@pytest.mark.parametrize(
    ("url", "is_page"),
    [
        ("https://h/login?x=1", True),
        ("http://localhost:8080/", True),
        ("http://h/", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("https://h/\u202e", False),
        ("https://[", False),
        ("https://bank.example@other.example/", False),
        ("https://other.example\\@bank.example/", False),
        ("https://h/ x", False),
        ("https://h/\n", False),
    ],
)
def test_only_safe_pages_are_opened(url: str, is_page: bool) -> None:
    assert is_web_page(url) is is_page
    assert not is_web_page(url + "x" * 8_000)


HUGE = 10**400
HOSTILE = {
    "text": {"type": "string", "default": "a\x1b[2J\u202e" + "b" * 100_000},
    "list": {"type": "array", "items": {"enum": ["c" * 5_000] * 100}, "default": ["\x07"] * 9_999},
    "number": {"type": "integer", "minimum": HUGE, "maximum": -HUGE, "default": HUGE // HUGE},
    "float": {"type": "number", "minimum": float("nan"), "maximum": float("inf")},
}


def test_a_hostile_form_is_short_and_clean() -> None:
    for each in fields({"properties": HOSTILE}):
        assert each.shown.isprintable()
        assert len(each.shown) < 2_500
        assert all(abs(limit) < HUGE for limit in each.limits.values())


def test_any_number_and_limit_gives_a_value_or_one_sentence() -> None:
    found = fields({"properties": HOSTILE})
    assert read_values(found, "number=5")["number"] == 5
    for text in (f"number={'9' * 4_000}", f"number={'9' * 9_000}", "float=1e999", "list=d"):
        with pytest.raises(UsageError) as caught:
            read_values(found, text)
        assert len(str(caught.value)) < 1_500


# ------------------------------------------------------------------------- waiting questions


async def test_a_question_is_answered_once() -> None:
    notices: list[effects.Notice] = []
    questions = Questions(notices.append)
    asking = asyncio.create_task(questions.ask("MCP server x", "Who?\x1b", fields()))
    await asyncio.sleep(0)
    (question,) = questions.waiting
    (notice,) = notices
    assert notice.text.startswith("The MCP server x asks: Who?\ufffd name (Name: Yours), color (")
    assert notice.hint == "Type /answer 1 name=… color=… or /decline 1."
    with pytest.raises(UsageError):
        questions.answer(1, "color=r")
    with pytest.raises(UsageError):
        questions.answer(2, "")
    questions.answer(1, "name=x color=r")
    with pytest.raises(UsageError, match="No question with this number"):
        questions.decline(1)
    answer = await asking
    assert (answer.action, answer.values["name"]) == ("accept", "x")
    assert questions.waiting == ()
    assert question.remark == ""
    assert notices[-1].text == "The MCP server x has your answer."


async def test_questions_are_declined_dismissed_and_withdrawn() -> None:
    notices: list[effects.Notice] = []
    questions = Questions(notices.append)
    tasks = [asyncio.create_task(questions.ask("x", "May I?")) for _ in range(MAX_WAITING + 1)]
    await asyncio.sleep(0)
    assert await tasks[-1] == Answer("cancel")
    questions.decline(1)
    assert await tasks[0] == Answer("decline")
    tasks[1].cancel()
    await asyncio.wait({tasks[1]})
    assert notices[-1].text == "The x needs no answer any more."
    questions.dismiss_all()
    assert {(await each).action for each in tasks[2:]} == {"cancel"}
    assert questions.waiting == ()


async def test_a_field_that_looks_like_a_password_gives_a_warning() -> None:
    questions = Questions(lambda notice: None)
    form = fields({"properties": {"pin": {"type": "string", "title": "Your PIN"}}})
    asking = asyncio.create_task(questions.ask("x", "?", form))
    await asyncio.sleep(0)
    assert questions.waiting[0].remark == "Do not enter a password or a key (pin)."
    assert "Do not enter a password" in questions.waiting[0].shown
    questions.dismiss_all()
    await asking

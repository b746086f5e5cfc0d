"""Guardrails in the settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicechat.config.loader import load
from voicechat.core.guardrail import GuardrailPolicy
from voicechat.core.text import clean
from voicechat.errors import UsageError

WHOLE = """
[[guardrails]]
name = "prices"
words = ["price", "discount"]
watches = "both"
policy = "closed"
say = "I can't talk about prices."

[[guardrails]]
name = "numbers"
pattern = '\\d{4} dollars'
instructions = "Name no numbers."
"""


def read(tmp_path: Path, text: str, profile: str | None = None):  # type: ignore[no-untyped-def]
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load({"profile": profile}, {}, path).guardrails


def test_words_and_patterns(tmp_path: Path) -> None:
    prices, numbers = read(tmp_path, WHOLE)
    assert (prices.name, prices.watches, prices.say) == (
        "prices",
        "both",
        "I can't talk about prices.",
    )
    assert prices.policy is GuardrailPolicy.CLOSED
    assert prices.pattern.search("A DISCOUNT!") == "DISCOUNT"
    assert (numbers.policy, numbers.watches) == (GuardrailPolicy.OPEN, "assistant")
    assert numbers.pattern.search("it is 2000 dollars") == "2000 dollars"
    assert numbers.instructions == "Name no numbers."


def test_what_the_user_says_may_be_in_the_answer(tmp_path: Path) -> None:
    table = 'name = "a"\nwords = ["price"]\nsay = "Ask someone else for the price."'
    (rule,) = read(tmp_path, f'[[guardrails]]\n{table}\nwatches = "user"\n')
    assert rule.say.startswith("Ask")


LIKE = ["price", "I can't", "caf\u00e9", "special offer", "stra\u00dfe"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the pri\u200bce", "price"),
        ("the pri\u00adce", "price"),
        ("\uff30rice", "price"),
        ("\U0001d429\U0001d42b\U0001d422\U0001d41c\U0001d41e", "price"),
        ("_price_ **list**", "price"),
        ("pri*ce*", "price"),
        ("I can\u2019t do that", "i can't"),
        ("cafe\u0301", "caf\u00e9"),
        ("special-offer", "special-offer"),
        ("special\u2011offer", "special-offer"),
        ("special\u00a0offer", "special\u00a0offer"),
        ("STRASSE", "STRASSE"),
        ("prices, list_price and xprice", None),
        ("special, offer", None),
        ("can\u2019t I", None),
    ],
    ids=ascii,
)
def test_a_word_is_found_in_every_spelling_that_sounds_alike(
    tmp_path: Path, text: str, found: str | None
) -> None:
    words = ", ".join(f'"{word}"' for word in LIKE)
    (rule,) = read(tmp_path, f'[[guardrails]]\nname = "a"\nwords = [{words}]\n')
    assert rule.search(clean(text)) == found


def test_a_profile_has_guardrails_of_its_own(tmp_path: Path) -> None:
    text = '[[profiles.work.guardrails]]\nname = "w"\nwords = ["x"]\n'
    assert read(tmp_path, text) == ()
    assert [each.name for each in read(tmp_path, text, "work")] == ["w"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('words = ["a"]', "A guardrail has no name"),
        ('name = "-"\nwords = ["a"]', "must begin with a letter"),
        ('name = "a"', "needs either words or a pattern"),
        ('name = "a"\nwords = ["a"]\npattern = "b"', "needs either words or a pattern"),
        ('name = "a"\nwords = []', "must be a list of up to 200 words"),
        ('name = "a"\nwords = "b"', "must be a list of texts"),
        ('name = "a"\npattern = "(a"', 'guardrails.pattern ends before its ")"'),
        ('name = "a"\npattern = "a*"', "fits the empty text"),
        ('name = "a"\nwords = ["b"]\npolicy = "shut"', "must be one of open, closed"),
        ('name = "a"\nwords = ["b"]\nwatch = "user"', "is not a setting of a guardrail"),
        (f'name = "a"\nwords = ["b"]\nsay = "{"x" * 1001}"', "at most 1000 characters"),
        ('name = "a"\nwords = ["price"]\nsay = "No PRICE, sorry."', 'must not have "PRICE"'),
        ('name = "a"\nwords = ["**"]', "must be a list of up to 200 words"),
    ],
)
def test_a_wrong_guardrail_is_one_sentence(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"config\.toml:") as error:
        read(tmp_path, f"[[guardrails]]\n{table}\n")
    assert message in str(error.value)


def test_names_are_unique_and_the_table_is_a_list(tmp_path: Path) -> None:
    one = '[[guardrails]]\nname = "a"\nwords = ["b"]\n'
    with pytest.raises(UsageError, match="two guardrails called a"):
        read(tmp_path, one * 2)
    with pytest.raises(UsageError, match=r"Write \[\[guardrails\]\]"):
        read(tmp_path, '[guardrails]\nname = "a"\n')

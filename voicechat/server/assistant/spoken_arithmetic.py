"""Spoken arithmetic: words to a Python expression."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from random import Random

from voicechat.server.assistant.numerals import cardinal_words, may_start, number, ordinal

Words = Sequence[str]

_LONGEST = 60

_INFIX = {
    "plus": "+", "+": "+", "add": "+", "added to": "+",
    "minus": "-", "-": "-", "less": "-", "take away": "-", "subtract": "-", "negative": "-",
    "times": "*", "multiplied by": "*", "multiplied with": "*", "multiply by": "*",
    "x": "*", "*": "*",
    "divided by": "/", "divide by": "/", "over": "/", "/": "/",
    "to the power of": "**", "to the power": "**", "raised to the power of": "**",
    "raised to": "**", "raised to the": "**", "to the": "**", "^": "**", "**": "**", "power": "",
    "modulo": "%", "mod": "%",
}  # fmt: skip
_PREFIX = {
    "square root of": "sqrt", "square root": "sqrt", "root of": "sqrt", "root": "sqrt",
    "sqrt": "sqrt",
    "cube root of": "cbrt", "cube root": "cbrt", "cubic root of": "cbrt",
    "twice": "twice", "double": "twice", "half": "halve", "half of": "halve", "triple": "thrice",
}  # fmt: skip
_POSTFIX = {
    "squared": "**2", "cubed": "**3", "factorial": "!", "!": "!", "percent": "/100",
}  # fmt: skip
_LINKS = {
    "percent of": "/100*", "per cent of": "/100*", "percent tip on": "/100*",
    "percent tax on": "/100*", "percent interest on": "/100*", "of": "of", "percent off": "off",
    "percent off of": "off",
}  # fmt: skip
_CURRENCIES = frozenset({"dollar", "dollars", "euro", "euros", "bucks"})
_PHRASES = sorted(
    (tuple(text.split()) for text in {*_INFIX, *_PREFIX, *_POSTFIX, *_LINKS}),
    key=lambda phrase: -len(phrase),
)
_FIRSTS = {phrase[0] for phrase in _PHRASES}
_VERBS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("add", ("and", "to", "with", "plus"), "({a})+({b})"),
    ("add up", ("and", "plus"), "({a})+({b})"),
    ("adding", ("and", "to"), "({a})+({b})"),
    ("sum of", ("and",), "({a})+({b})"),
    ("subtract", ("from",), "({b})-({a})"),
    ("subtracting", ("from",), "({b})-({a})"),
    ("take away", ("from",), "({b})-({a})"),
    ("take", ("from", "away from", "off"), "({b})-({a})"),
    ("difference between", ("and",), "abs(({a})-({b}))"),
    ("difference of", ("and",), "abs(({a})-({b}))"),
    ("multiply", ("by", "and", "with", "times"), "({a})*({b})"),
    ("multiplying", ("by", "and", "with"), "({a})*({b})"),
    ("product of", ("and",), "({a})*({b})"),
    ("divide", ("by",), "({a})/({b})"),
    ("dividing", ("by",), "({a})/({b})"),
    ("remainder of", ("divided by", "over"), "({a})%({b})"),
    ("raise", ("to the power of", "to the"), "({a})**({b})"),
)


def may_begin(word: str) -> bool:
    """Return True if a calculation can start with this word."""
    return may_start(word) or word in _FIRSTS or word in _OPENERS


_OPENERS = {"the", "("} | {verb.split()[0] for verb, _, _ in _VERBS}


def expression(words: Words) -> str | None:
    """Return the Python expression if the words are a complete calculation, else None."""
    if not words or len(words) > _LONGEST:
        return None
    if words[0] == "the" or (words[0] == "a" and words[1:2] and words[1][0].isdigit()):
        return expression(words[1:])
    words = [word for word in words if word not in _CURRENCIES]
    return _by_verb(words) or _infix(words)


def _operand(words: Words) -> str | None:
    value = number(words)
    return _literal(value) if value is not None else expression(words)


def _literal(value: Fraction) -> str:
    return str(value) if value.denominator == 1 and value >= 0 else f"({value})"


def _by_verb(words: Words) -> str | None:
    """Parse "add a and b", "subtract a from b" or "the product of a and b"."""
    for verb, links, form in _VERBS:
        head = verb.split()
        if list(words[: len(head)]) != head:
            continue
        for link in links:
            glue = link.split()
            for cut in range(len(head) + 1, len(words) - len(glue)):
                if list(words[cut : cut + len(glue)]) != glue:
                    continue
                a, b = _operand(words[len(head) : cut]), _operand(words[cut + len(glue) :])
                if a is not None and b is not None:
                    return form.format(a=a, b=b)
    return None


def _tokens(words: Words) -> list[str | Fraction] | None:
    """Return operation names and numbers; None if a word is neither."""
    found: list[str | Fraction] = []
    run: list[str] = []
    at = 0
    while at <= len(words):
        phrase = _phrase_at(words, at, run)
        if phrase is None and at < len(words) and words[at] not in ("(", ")"):
            run.append(words[at])
            at += 1
            continue
        if run:
            value = _value(run, found)
            if value is None:
                return None
            found.append(value)
            run = []
        if at < len(words):
            found.append(" ".join(phrase) if phrase else words[at])
        at += len(phrase) if phrase else 1
    return found


def _phrase_at(words: Words, at: int, run: list[str]) -> tuple[str, ...] | None:
    """Return the operation at this position. "half" and "negative" can also be part of a number."""
    if at >= len(words) or words[at] not in _FIRSTS:
        return None
    for phrase in _PHRASES:
        if tuple(words[at : at + len(phrase)]) == phrase:
            if phrase[0] == "half" and run:
                return None
            return phrase
    return None


def _value(run: list[str], before: list[str | Fraction]) -> Fraction | None:
    if before and _INFIX.get(str(before[-1])) == "**" and (rank := ordinal(run)) is not None:
        return Fraction(rank)
    return number(run)


class _Writer:
    """Builds an expression from tokens. Operands and operations must alternate."""

    def __init__(self) -> None:
        self.text = ""
        self.operand_next = True
        self.operations = 0
        self.depth = 0
        self.prefix: str | None = None
        self.sign = ""
        self.last: Fraction | None = None

    def take(self, token: str | Fraction) -> bool:
        """Add one token; return False if it cannot follow."""
        if isinstance(token, Fraction):
            return self._number(token)
        if token in "()":
            return self._bracket(token)
        self.operations += 1
        if self.operand_next:
            return self._before_operand(token)
        return self._after_operand(token)

    def done(self) -> str | None:
        """Return the expression if it is complete and contains an operation."""
        whole = not self.operand_next and self.prefix is None and not self.depth and self.operations
        return self.text if whole else None

    def _number(self, value: Fraction) -> bool:
        if not self.operand_next:
            return False
        literal = self.sign + _literal(value)
        self.text += f"{self.prefix}({literal})" if self.prefix else literal
        self.prefix, self.sign, self.operand_next, self.last = None, "", False, value
        return True

    def _bracket(self, token: str) -> bool:
        if (token == "(") != self.operand_next:
            return False
        self.text += f"{self.sign}{self.prefix or ''}{token}"
        self.prefix, self.sign, self.last = None, "", None
        self.depth += 1 if token == "(" else -1
        return self.depth >= 0

    def _before_operand(self, token: str) -> bool:
        if token in _PREFIX and self.prefix is None:
            self.text += self.sign
            self.prefix, self.sign = _PREFIX[token], ""
            return True
        if _INFIX.get(token) == "-" and not self.sign:
            self.sign = "-"
            self.operations -= 1
            return True
        return False

    def _after_operand(self, token: str) -> bool:
        if token == "power":
            return "**" in self.text
        if token in _POSTFIX:
            wanted = _POSTFIX[token]
            self.text = f"fact({self.text})" if wanted == "!" else self.text + wanted
            return True
        if token in _LINKS:
            return self._link(token)
        if token not in _INFIX:
            return False
        self.text += _INFIX[token]
        self.operand_next = True
        return True

    def _link(self, token: str) -> bool:
        """Parse "20 percent of", "20 percent off" or "two thirds of"."""
        link = _LINKS[token]
        if link == "off" and self.last is not None and self.text == _literal(self.last):
            self.text = f"(1-{self.text}/100)*"
        elif link == "of" and (self.last is None or not 0 < self.last < 1):
            return False
        elif link != "off":
            self.text += "*" if link == "of" else link
        else:
            return False
        self.operand_next = True
        return True


def _infix(words: Words) -> str | None:
    tokens = _tokens(words)
    writer = _Writer()
    if tokens is None or not all(writer.take(token) for token in tokens):
        return None
    return writer.done()


_FRACTIONS = ("a half", "half", "a third", "a quarter", "two thirds")


def sample(random: Random) -> str:
    """Return a sample calculation in words."""

    def some(limit: int = 1000) -> str:
        bound = random.choice((12, 12, 30, 100, 100, limit))
        return cardinal_words(random.randint(0 if bound > 12 else 2, bound))

    operation = random.choice(
        ("plus", "plus", "minus", "times", "times", "multiplied by", "divided by", "divided by",
         "over", "to the power of")
    )  # fmt: skip
    return random.choice(
        (
            lambda: f"{some()} {operation} {some()}",
            lambda: f"{some()} {operation} {some()}",
            lambda: f"{some()} {operation} {some()}",
            lambda: f"{some(100)} plus {some(100)} {operation} {some(100)}",
            lambda: f"{some(100)} percent of {some()}",
            lambda: f"{random.choice(_FRACTIONS)} of {some()}",
            lambda: f"the square root of {some()}",
            lambda: f"{some(100)} {random.choice(('squared', 'cubed'))}",
            lambda: (
                f"{some(100)} point {cardinal_words(random.randint(0, 9))} {operation} {some(100)}"
            ),
            lambda: f"the sum of {some()} and {some()}",
            lambda: f"add {some()} {random.choice(('and', 'to'))} {some()}",
            lambda: f"subtract {some()} from {some()}",
            lambda: f"multiply {some()} by {some()}",
            lambda: f"divide {some()} by {some()}",
        )
    )()

"""What the person told of themselves: a name and facts."""

from __future__ import annotations

from voicechat.server.assistant.answers.assistant_request import Ask, to_listener
from voicechat.skills.wording import joined, sentence


def _set_name(ask: Ask) -> str:
    name = " ".join(word[:1].upper() + word[1:] for word in ask.text("name").split())
    with ask.notebook.edit() as pages:
        pages.name = name
    return f"Nice to meet you, {name}."


def _get_name(ask: Ask) -> str:
    name = ask.notebook.read().name
    return f"Your name is {name}." if name else "You haven't told me your name yet."


def _remember(ask: Ask) -> str:
    fact = ask.text("fact")
    with ask.notebook.edit() as pages:
        if fact not in pages.facts:
            pages.facts.append(fact)
    return sentence(f"I'll remember that {to_listener(fact)}")


def _recall(ask: Ask) -> str:
    pages = ask.notebook.read()
    about = ask.text("about").casefold().split()
    if about:
        known = [fact for fact in pages.facts if _speaks_of(fact, about)]
        if not known:
            return "You haven't told me anything about that."
        return " ".join(sentence(f"You told me that {to_listener(fact)}") for fact in known[-3:])
    told = [f"your name is {pages.name}"] if pages.name else []
    told += [to_listener(fact) for fact in pages.facts]
    if not told:
        return "You haven't told me anything to remember yet."
    return sentence(f"You told me that {joined(told)}")


def _speaks_of(fact: str, words: list[str]) -> bool:
    """Whether the fact holds one of the words that carry meaning."""
    plain = {"my", "the", "a", "an", "is", "are", "i", "of", "it", "that", "to", "in", "on"}
    wanted = {word.removesuffix("s") for word in words if word not in plain}
    return bool(wanted & {word.strip(".,!?").removesuffix("s") for word in fact.casefold().split()})


def _forget(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        pages.name = ""
        pages.facts.clear()
    return "I've forgotten all you told me about yourself."


SKILLS = {
    "name_set": _set_name,
    "name_get": _get_name,
    "remember": _remember,
    "recall": _recall,
    "forget_all": _forget,
}

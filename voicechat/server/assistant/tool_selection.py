"""Tool selection: choose among the offered tools and fill their arguments from plain words.

A tool fits if the sentence contains the words of its name, or if its name belongs to the intent of
the sentence. It is called only if every required argument is found; `required` and a named
tool_choice use the best guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from voicechat.server.assistant import skill_permissions, slot_values
from voicechat.server.assistant.clarification import question
from voicechat.server.assistant.intents import CHANGING, INCOMPLETE, Meaning
from voicechat.server.assistant.measurements import Measure
from voicechat.server.assistant.tool_arguments import PATH, MissingArgument, fill
from voicechat.server.engine_protocols import ToolOffer

_VERBS: Mapping[str, frozenset[str]] = {
    verb_kind: frozenset(words.split())
    for verb_kind, words in {
        "read": "get read show tell fetch list what what's which find search look lookup check see "
        "give query display is are how when where who current",
        "write": "set add create make put write save start new insert append turn switch play send "
        "edit open post run book order schedule copy",
        "change": "change move update reschedule",
        "end": "cancel stop delete remove clear end close kill erase forget off",
    }.items()
}
_DISTINCTIVE = frozenset({
    "list", "read", "write", "search", "delete", "remove", "create", "edit",
    "add", "send", "stop", "cancel", "save", "play",
})  # fmt: skip
"""Verbs that distinguish tools with the same subject."""
_OPERATIONS = frozenset({"add", "subtract", "multiply", "divide", "sqrt", "power"})
_PLAIN_WORDS = (
    "a an the of in on at to for from with and or my your me i you it by as into this that these "
    "tool function given use used using user returns return current currently please can could "
    "will would specific some any information details about value one do does be has have"
)
_PLAIN = frozenset(_PLAIN_WORDS.split())
_RELATED_WORDS: Mapping[str, frozenset[str]] = {
    word: frozenset(related.split())
    for word, related in {
        "weather": "forecast temperature rain raining sunny snow snowing umbrella hot cold",
        "light": "lamp lamps bulb",
        "mail": "email message",
        "email": "mail message",
        "image": "picture photo",
        "music": "song songs",
        "news": "headlines",
        "directory": "folder files",
        "folder": "directory files",
        "price": "cost costs",
    }.items()
}
_SUBJECTS: Mapping[str, tuple[str, str]] = {
    "time": ("time clock now", "read"),
    "date": ("date day calendar", "read"),
    "day": ("date day weekday", "read"),
    "timer_set": ("timer countdown", "write"),
    "alarm_set": ("alarm", "write"),
    "remind": ("reminder remind", "write"),
    "timer_cancel": ("timer alarm", "end"),
    "timer_change": ("timer alarm", "change"),
    "timer_left": ("timer timers alarm", "read"),
    "timer_list": ("timer timers alarm", "read"),
    "calculate": ("calculate calculator calculation arithmetic math compute evaluate sum", ""),
    "convert": ("convert conversion units unit", ""),
    "note_add": ("note notes memo", "write"),
    "note_read": ("note notes memos", "read"),
    "note_clear": ("notes note", "end"),
    "note_remove": ("note notes", "end"),
    "list_add": ("list lists", "write"),
    "list_read": ("list lists", "read"),
    "list_has": ("list lists", "read"),
    "list_remove": ("list lists", "end"),
    "list_clear": ("list lists", "end"),
    "coin": ("coin", ""),
    "dice": ("dice die", ""),
    "random": ("random", ""),
    "control": ("control", ""),
    "control_approved": ("control", ""),
}
"""For each intent: words of matching tool names, and the kind of verb they must contain."""
_ALL_ENTRIES = frozenset({"clear", "all", "empty", "every"})
_ONE_ENTRY = frozenset({"remove", "delete", "take", "cross", "erase"})
_REQUIRED_WORDS: Mapping[str, frozenset[str]] = {
    "note_clear": _ALL_ENTRIES, "note_remove": _ONE_ENTRY,
    "list_clear": _ALL_ENTRIES, "list_remove": _ONE_ENTRY,
    "control": frozenset({"app"}), "control_approved": frozenset({"approval"}),
}  # fmt: skip
"""Words of which the tool name must contain one: to clear a list is not to remove one entry."""
_APP_INTENTS = frozenset({"control", "control_approved"})
_APP_TOOLS = frozenset({"control_app", "control_app_with_approval"})
"""Tools for the intents of the app; words alone do not select them, because they name too much."""


@dataclass(frozen=True, slots=True)
class SelectedTool:
    """A tool and its arguments as JSON text, or the clarification question to ask first."""

    name: str
    arguments: str
    question: str = ""


def choose(
    text: str,
    meaning: Meaning | None,
    tools: Sequence[ToolOffer],
    choice: str,
    now: datetime | None = None,
) -> SelectedTool | None:
    """Return the tool call that fits the sentence; None if no tool fits well enough.

    choice: auto, none, required or the name of a tool. now: the local time, for times of day.
    """
    if meaning is not None and meaning.intent == INCOMPLETE and text:
        meaning = None
    if meaning is not None:
        meaning = slot_values.plain(meaning, now or datetime.now().astimezone())
    if choice == "none" or not tools:
        return None
    if meaning is not None and meaning.intent in _APP_INTENTS:
        # Another app may have a tool of its own, such as set_volume.
        meaning = meaning if any(tool.name in _APP_TOOLS for tool in tools) else None
    forced = [tool for tool in tools if tool.name == choice]
    if forced:
        return _call(forced[0], text, meaning, forced=True)
    ranked = sorted(
        ((_fit(tool, text, meaning), -place, tool) for place, tool in enumerate(tools)),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    best, _, tool = ranked[0]
    if choice == "required":
        return _call(tool, text, meaning, forced=True)
    if best <= 0:
        return None
    if meaning is None and not _is_command(text, tool):
        return None
    call = _call(tool, text, meaning, forced=False)
    if meaning is None and tool.name in SKILL_TOOLS:
        asks = call is not None and call.question and not _is_question(text)
        return call if asks else None
    return call


def _is_command(text: str, tool: ToolOffer) -> bool:
    """Return True if the text asks for something, rather than tells about it."""
    words = _words(text)
    while words and words[0] in _COURTESY:
        words = words[1:]
    if not words:
        return False
    first = words[0].partition("'")[0]
    wish = first in ("i", "we") and words[1:2] in (["need"], ["want"], ["would"])
    asks = bool(_verb_kind(first)) or first in _ASKING or first in _words(tool.name)
    return wish or asks or (len(words) <= _LONGEST_COMMAND and first not in _TELLING)


def _is_question(text: str) -> bool:
    """Return True if the text asks for an answer, which no tool that needs more words gives."""
    return any(word.partition("'")[0] in _QUESTION_WORDS for word in _words(text)[:1])


_QUESTION_WORDS = frozenset(
    [
        "what",
        "which",
        "when",
        "where",
        "who",
        "why",
        "how",
        "is",
        "are",
        "do",
        "does",
        "did",
        "have",
        "has",
    ]
)
_LONGEST_COMMAND = 5
"""Words of a request that begins with neither a verb nor a question word."""
_COURTESY = ("please", "hey", "okay", "ok", "so", "well", "now", "then")
_ASKING_WORDS = (
    "which why do does did has have was were should can could would will shall remind use call ask "
    "let"
)
_ASKING = frozenset(_ASKING_WORDS.split())
_TELLING_WORDS = "i we he she they it you this that these those my his her our no there"
_TELLING = frozenset(_TELLING_WORDS.split())
"""First words of a sentence that tells something."""
SKILL_TOOLS = frozenset(skill_permissions.TOOLS.values())
"""The built-in tools for known requests; only an understood request calls them."""
CHANGING_TOOLS = frozenset(
    skill_permissions.TOOLS[intent] for intent in CHANGING & skill_permissions.TOOLS.keys()
)
"""The built-in tools that change something, which can be undone."""
_NAMED = 3.5
"""Minimum score of a tool that the sentence names, with a verb of its kind."""


def names_one(text: str, tools: Sequence[ToolOffer]) -> bool:
    """Return True if the text names a tool, rather than answering a question."""
    return any(_fit(tool, text, None) >= _NAMED for tool in tools)


def may_change(name: str) -> bool:
    """Return True unless the name of the tool says that it only reads."""
    kinds = {_verb_kind(word) for word in _words(_own_name(name))} - {""}
    return kinds != {"read"}


def _call(tool: ToolOffer, text: str, meaning: Meaning | None, forced: bool) -> SelectedTool | None:
    try:
        arguments = fill(
            tool.parameters,
            text,
            meaning,
            trigger=_trigger(_own_name(tool.name)),
            forced=forced,
        )
    except MissingArgument as missing:
        if meaning is not None:
            return None
        return SelectedTool(tool.name, "", question(missing.name))
    return SelectedTool(tool.name, json.dumps(arguments, ensure_ascii=False))


def _trigger(name: str) -> list[str]:
    """Return the words that call for a tool of this name."""
    words = _words(name)
    return words + [related for word in words for related in _RELATED_WORDS.get(word, ())]


def _fit(tool: ToolOffer, text: str, meaning: Meaning | None) -> float:
    """Return the score of the tool; 0 if it does not fit."""
    name = _words(_own_name(tool.name))
    if meaning is not None:
        return _fit_intent(name, text, meaning)
    if tool.name in _APP_TOOLS:
        return 0.0
    place, location_kinds = PATH.search(text), _location_kinds(tool)
    if "url" in location_kinds and place is None and not _agreement(name, text):
        return 0.0
    # The name of a file must not select a tool.
    words = _words(PATH.sub(" ", text))
    spoken = _stems(words) | _related_subjects(words)
    nouns = [word for word in name if word not in _PLAIN and not _verb_kind(word)]
    nouns = nouns or [word for word in name if word not in _PLAIN]
    matches = [word for word in nouns if _stem(word) in spoken]
    described_words = {
        word
        for word in _stems(_words(tool.description)) & spoken
        if word not in _PLAIN and not _verb_kind(word) and len(word) > 2
    } - {_stem(word) for word in matches}
    if place is not None and location_kinds:
        described_words.add("path")
        if _is_address(place[0]) is ("url" in location_kinds) and set(name) & set(words):
            return 4.0 + len(matches) + _agreement(name, text)
    if not matches and len(described_words) < 2:
        return 0.0
    if len(matches) < len(nouns) and not described_words:
        return 0.0
    return 3 * len(matches) / len(nouns) + _agreement(name, text) + min(2, len(described_words)) / 2


_ADDRESS = re.compile(
    r"https?://|www\.|[\w.-]+\.(?:com|org|net|edu|gov|io|dev|app|info|eu|uk|de|fr|es|it|nl|ch|at|us|ca|au)"
    r"(?:[/:?]|\Z)",
    re.IGNORECASE,
)


def _is_address(text: str) -> bool:
    """Return True for a web address, rather than a path."""
    return _ADDRESS.match(text.rstrip(".,?!")) is not None


def _location_kinds(tool: ToolOffer) -> set[str]:
    """Return which kinds of location the tool takes: path, file, url."""
    properties = tool.parameters.get("properties")
    names = " ".join(properties) if isinstance(properties, Mapping) else ""
    return set(re.findall("path|file|url", names.lower()))


def _fit_intent(name: Sequence[str], text: str, meaning: Meaning) -> float:
    """Return the score of a tool name for an intent; 0 leaves it to the built-in answer."""
    amount = meaning.values.get("amount")
    if isinstance(amount, Measure) and amount.name:
        return 0.0  # A tool would not know the name, such as "a marathon".
    subject, verb = _SUBJECTS.get(meaning.intent, ("", ""))
    if meaning.intent == "calculate" and _OPERATIONS & set(name) & set(_words(text)):
        return 6.0
    if name[:1] == ["list"] and name[1:] and not _verb_kind(name[1]):
        name = ["show", *name[1:]]
    if not _stems(subject.split()) & _stems(name):
        return 0.0
    required = _REQUIRED_WORDS.get(meaning.intent)
    if required is not None and not required & set(name):
        return 0.0
    verb_kinds = {_verb_kind(word) for word in name if word not in subject.split()} - {""}
    return 0.0 if verb and verb_kinds and verb not in verb_kinds else 5.0


def _own_name(name: str) -> str:
    """Return the name of the tool without its server ("files__read_file")."""
    return re.split(r"__|[./:]", name)[-1] or name


def _agreement(name: Sequence[str], text: str) -> float:
    """Return the score of a name's verbs against the spoken ones; negative if they differ."""
    name_verbs = {word for word in name if _verb_kind(word)}
    spoken = {word for word in _words(text) if _verb_kind(word)}
    if name_verbs & spoken & _DISTINCTIVE or (name_verbs & spoken and not spoken & _DISTINCTIVE):
        return 2.0
    if name_verbs & _DISTINCTIVE and spoken & _DISTINCTIVE:
        return -1.5
    return (
        0.5
        if {_verb_kind(word) for word in name_verbs} & {_verb_kind(word) for word in spoken}
        else 0.0
    )


def _verb_kind(word: str) -> str:
    return next((verb_kind for verb_kind, words in _VERBS.items() if word in words), "")


def _words(text: str) -> list[str]:
    """Split a name into lower-case words, also in camelCase and snake_case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return [word.lower() for word in re.findall(r"[^\W_]+(?:'[a-z]+)?", spaced)]


def _stem(word: str) -> str:
    for ending in ("ing", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            stem = word.removesuffix(ending)
            hissing = stem.endswith(("se", "xe", "ze", "che", "she"))
            return stem.removesuffix("e") if hissing else stem
    return word


def _stems(words: Sequence[str]) -> set[str]:
    return {_stem(word) for word in words}


def _related_subjects(words: Sequence[str]) -> set[str]:
    """Return the subjects of these words."""
    return {_stem(word) for word, related in _RELATED_WORDS.items() if related & set(words)}

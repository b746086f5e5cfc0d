"""The offline assistant: answers from intents and tools, without a language model.

The first case that applies makes the reply:

    1. the instructions ask for a summary: summarize the conversation
    2. tool results are new: say them
    3. system messages are new (a timer rang): say them
    4. the instructions give exact words: say those
    5. an offered tool fits the request: call it
    6. the request is a known intent: answer it
    7. otherwise: say that it cannot answer

No data leaves the machine.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from weakref import WeakKeyDictionary

from voicechat.errors import VoicechatError
from voicechat.server.assistant import (
    clarification,
    clauses,
    instruction_following,
    intents,
    measurements,
    result_speech,
    skill_permissions,
    tool_selection,
)
from voicechat.server.assistant.answer_context import AnswerContext
from voicechat.server.assistant.answers import ANSWERS, BLOCKING
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.small_talk import HOW_TO_CONNECT
from voicechat.server.assistant.summary import summary
from voicechat.server.assistant.tool_selection import SelectedTool
from voicechat.server.engine_protocols import (
    Assistant,
    AssistantOutput,
    AssistantRequest,
    Call,
    Message,
    Say,
)
from voicechat.skills.notebook import Notebook
from voicechat.skills.timers import Later, Timers

_BLOCKING_S = 10.0
_UNITS_AFTER_S = 3.0
_UNKNOWN = (
    "I can't answer that. I'm the small embedded voice, without a language model; "
    "say help to hear what I can do. "
)
_UNKNOWN_AGAIN = "I can't answer that without a language model. Say help to hear what I can do."


class OfflineAssistant:
    """An `Assistant` without network access. Timers run in the event loop until `close()`.

    folder: of the notebook; None keeps a notebook in memory for each session.
    forbidden_tools: built-in tools whose skills the assistant refuses.
    now, random, later: replace the clock, the random generator and `loop.call_later` in tests.
    """

    def __init__(
        self,
        folder: Path | None = None,
        now: Callable[[], datetime] | None = None,
        random: Random | None = None,
        later: Later | None = None,
        forbidden_tools: Collection[str] = (),
    ) -> None:
        self.on_announcement: Callable[[str], None] = lambda _words: None
        self._notebook = Notebook(folder / "notebook.json") if folder else None
        self._notebooks: WeakKeyDictionary[object, Notebook] = WeakKeyDictionary()
        self._forbidden_tools = forbidden_tools
        self._now = now or (lambda: datetime.now().astimezone())
        self._random = random or Random()
        self._timers = Timers(lambda words: self.on_announcement(words), self._now, later)

        self._units: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the templates. Load the units later, after the other engines."""
        await asyncio.to_thread(intents.warm)
        self._units = asyncio.create_task(_load_units())

    async def close(self) -> None:
        """End all timers."""
        if self._units is not None:
            self._units.cancel()
            await asyncio.gather(self._units, return_exceptions=True)
        self._timers.cancel(self._timers.running())

    async def ends_turn(self, text: str) -> bool:
        """Return True if the text is a complete request that cannot continue."""
        return intents.is_closed(text)

    async def reply(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        """Answer the newest message."""
        if instruction_following.wants_summary(request.instructions):
            yield Say(summary(request.messages))
            return
        if results_now := _results(request.messages):
            for output in _as_output(" ".join(map(result_speech.spoken_result, results_now))):
                yield output
            return
        if news := _new_system_messages(request.messages):
            for output in _as_output(news):
                yield output
            return
        text = _question(request)
        meanings = intents.parse_all(text)
        words = instruction_following.exact_words(request.instructions)
        calls: list[SelectedTool] = []
        if not words or request.tool_choice not in ("auto", "none"):
            calls, meanings = self._calls(request, text, meanings)
            questions = [call.question for call in calls if call.question]
            words = words or " ".join(questions)
            calls = [call for call in calls if not call.question]
        if words or meanings or not calls:
            for output in _as_output(words or await self._answer(request, text, meanings)):
                yield output
        for call in calls:
            yield Call(f"call_{uuid.uuid4().hex[:24]}", call.name, call.arguments)

    def _calls(
        self, request: AssistantRequest, text: str, meanings: list[Meaning]
    ) -> tuple[list[SelectedTool], list[Meaning]]:
        """Return the tool calls for the request, and the intents that no tool covers."""
        offered, choice, now = request.tools, request.tool_choice, self._now()
        if len(meanings) < 2 or choice != "auto":
            meaning = meanings[0] if len(meanings) == 1 else None
            chosen = tool_selection.choose(text, meaning, offered, choice, now)
            return ([chosen], []) if chosen is not None else ([], meanings)
        calls, uncovered = [], []
        for meaning in meanings:
            chosen = tool_selection.choose("", meaning, offered, choice, now)
            if chosen is not None:
                calls.append(chosen)
            else:
                uncovered.append(meaning)
        return calls, uncovered

    async def _answer(self, request: AssistantRequest, text: str, meanings: list[Meaning]) -> str:
        if meanings:
            return " ".join([await self._answer_one(request, meaning) for meaning in meanings])
        if not text:
            greeted = any(message.role == "assistant" for message in request.messages)
            if instruction_following.wants_greeting(request.instructions) or not greeted:
                return await self._answer_one(request, Meaning("greet"))
            return "I didn't catch that."
        explained = any(HOW_TO_CONNECT in message.text for message in request.messages)
        return _UNKNOWN_AGAIN if explained else _UNKNOWN + HOW_TO_CONNECT

    async def _answer_one(self, request: AssistantRequest, meaning: Meaning) -> str:
        if refused := skill_permissions.refusal(meaning.intent, self._forbidden_tools):
            return refused
        context = AnswerContext(
            meaning.values,
            self._notebook or self._notebooks.setdefault(request.session, Notebook(None)),
            self._timers,
            self._now,
            self._random,
            _last(request.messages, "assistant"),
            instruction_following.own_name(request.instructions),
        )
        answer = ANSWERS[meaning.intent]
        try:
            if meaning.intent not in BLOCKING:
                return answer(context)
            async with asyncio.timeout(_BLOCKING_S):
                return await asyncio.to_thread(answer, context)
        except VoicechatError as error:
            return error.message
        except TimeoutError:
            return "The disk does not respond, so I couldn't do that."


def _as_output(text: str) -> list[Say]:
    return [Say(piece) for piece in clauses.split(text)]


async def _load_units() -> None:
    await asyncio.sleep(_UNITS_AFTER_S)
    await asyncio.to_thread(measurements.warm)


def _results(messages: Sequence[Message]) -> list[str]:
    """Return the new tool results, in order."""
    found: list[str] = []
    for message in reversed(messages):
        if message.role not in ("tool_result", "tool_call"):
            break
        if message.role == "tool_result":
            found.append(message.text)
    return found[::-1]


def _new_system_messages(messages: Sequence[Message]) -> str:
    """Return the system messages since the last turn, for example of a timer that rang."""
    news: list[str] = []
    for message in reversed(messages):
        if message.role != "system":
            return " ".join(news[::-1])
        news.append(message.text)
    return ""  # System messages before the first turn are instructions.


def _last(messages: Sequence[Message], role: str) -> str:
    return next((one.text for one in reversed(messages) if one.role == role), "")


def _question(request: AssistantRequest) -> str:
    """Return the current request. Join an answer to a clarification question to that request."""
    spoken = [one for one in request.messages if one.role in ("user", "assistant")]
    if not spoken or spoken[-1].role != "user":
        return ""
    text = spoken[-1].text.strip()
    asked = len(spoken) > 2 and clarification.is_question(spoken[-2].text)
    if not asked or intents.is_complete(text) or tool_selection.names_one(text, request.tools):
        return text
    joined = f"{spoken[-3].text.rstrip(' .?!')} for {text.removeprefix('for ')}"
    chosen = tool_selection.choose(
        joined, intents.parse(joined), request.tools, request.tool_choice
    )
    if chosen is None or not chosen.question:
        return joined
    return text


def offline_assistant(
    folder: Path | None = None, forbidden_tools: Collection[str] = ()
) -> Assistant:
    """Create the offline assistant, not yet open.

    folder: of the notebook; None keeps a notebook in memory for each session.
    forbidden_tools: built-in tools whose skills the assistant refuses.
    """
    return OfflineAssistant(folder, forbidden_tools=forbidden_tools)

"""The offline assistant: answers from intents and tools, without a language model.

The first case that applies makes the reply:

    1. the instructions ask for a summary: summarize the conversation
    2. the instructions of this response give exact words or ask what the user said: say that
    3. tool results are new: say them
    4. system messages are new (a timer rang): say them
    5. the user undoes or corrects the last request: undo it, and do the corrected one
    6. the instructions give exact words: say those
    7. an offered tool fits the request: call it
    8. the request is a known intent: answer it
    9. otherwise: say that it did not understand

The request is in the instructions of the response, or it is what the user said.

No data leaves the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from random import Random
from weakref import WeakKeyDictionary

from voicechat.errors import VoicechatError
from voicechat.server.assistant import (
    clarification,
    clauses,
    confirmation,
    conversation_messages,
    corrections,
    instructed_request,
    instruction_following,
    intents,
    measurements,
    plausibility,
    request_end,
    result_speech,
    skill_permissions,
    tool_selection,
    undoing,
)
from voicechat.server.assistant.answer_context import AnswerContext
from voicechat.server.assistant.answers import ANSWERS, BLOCKING
from voicechat.server.assistant.dialogue_state import DialogueState, LastRequest, Revision
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.nearest_request import NearestRequest, Phonemes
from voicechat.server.assistant.summary import summary
from voicechat.server.assistant.tool_selection import SelectedTool
from voicechat.server.engine_protocols import (
    Assistant,
    AssistantOutput,
    AssistantRequest,
    Message,
    Say,
)
from voicechat.skills.timers import Later, Timers

_BLOCKING_S = 10.0
_REST_AFTER_S = 3.0
UNKNOWN = "I didn't understand that."
HINT = " I answer everyday requests. For more, add a language model: see the README."
"""Shown once after `UNKNOWN`, but not spoken."""


class OfflineAssistant:
    """An `Assistant` without network access. Timers run in the event loop until `close()`.

    folder: of the notebook; None keeps a notebook in memory for each session.
    forbidden_tools: built-in tools whose skills the assistant refuses.
    phonemes: pronunciations of words, to find the nearest-sounding request for speech.
    is_unsure: tells if the recognizer is unsure of a text; a change then needs a yes.
    now, random, later: replace the clock, the random generator and `loop.call_later` in tests.
    """

    def __init__(
        self,
        folder: Path | None = None,
        now: Callable[[], datetime] | None = None,
        random: Random | None = None,
        later: Later | None = None,
        forbidden_tools: Collection[str] = (),
        phonemes: Phonemes | None = None,
        is_unsure: Callable[[str], bool] | None = None,
    ) -> None:
        self.on_announcement: Callable[[str], None] = lambda _words: None
        self._folder = folder
        self._states: WeakKeyDictionary[object, DialogueState] = WeakKeyDictionary()
        self._forbidden_tools = forbidden_tools
        self._now = now or (lambda: datetime.now().astimezone())
        self._random = random or Random()
        self._timers = Timers(lambda words: self.on_announcement(words), self._now, later)

        self._nearest = NearestRequest(phonemes) if phonemes else None
        self._is_unsure = is_unsure or (lambda _text: False)
        self._loading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the templates. Load the rest later, after the other engines."""
        await asyncio.to_thread(intents.warm)
        self._loading = asyncio.create_task(self._load_rest())

    async def close(self) -> None:
        """End all timers."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._nearest is not None:
            await self._nearest.close()
        self._timers.cancel(self._timers.running())

    async def _load_rest(self) -> None:
        await asyncio.sleep(_REST_AFTER_S)
        if self._nearest is not None:  # there is speech
            await asyncio.to_thread(request_end.warm)
        await asyncio.to_thread(measurements.warm)

    async def end_chance(self, text: str) -> float:
        """Return the chance that the text is a whole request; see `request_end.end_chance`."""
        chance = request_end.end_chance(text)
        if self._nearest is not None:
            self._nearest.warm()
            if text and not chance:
                self._nearest.prepare(text)
        return chance

    async def reply(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        """Answer the newest message."""
        state = self._state(request.session)
        async with aclosing(self._outputs(request, state)) as outputs:
            async for output in outputs:
                yield output

    def _state(self, session: object) -> DialogueState:
        state = self._states.get(session)
        if state is None:
            path = self._folder / "notebook.json" if self._folder else None
            state = self._states[session] = DialogueState(path)
        return state

    async def _outputs(
        self, request: AssistantRequest, state: DialogueState
    ) -> AsyncGenerator[AssistantOutput, None]:
        revision: Revision | None = None
        messages = request.messages
        if words := _instructed_words(request):
            pass
        elif results := conversation_messages.new_results(messages):
            words = _results_in_words(results, state)
            revision, state.revision = state.revision, None
        elif text := instructed_request.instructed_request(request):
            async for output in self._respond(request, state, text):
                yield output
            return
        elif not (words := _own_words(request)):
            words, text = "", _chosen_timer(request, state) or _question(request, state)
            accepted = confirmation.accepted(state, text)
            turn = self._respond(request, state, accepted, sure=True) if accepted else None
            async for output in turn or self._turn(request, state, text):
                yield output
            return
        if revision is not None:
            async for output in self._respond(request, state, revision.text, revision=revision):
                yield output
            return
        for say in _as_output(words, state):
            yield say

    async def _turn(
        self, request: AssistantRequest, state: DialogueState, text: str
    ) -> AsyncGenerator[AssistantOutput, None]:
        """Answer the user: undo, correct the last request, or do what the text asks."""
        state.revision = None
        text = corrections.repaired(text)
        after_undo = undoing.request_after_undo(text)
        revision = after_undo or undoing.correction(request, state, text)
        if revision is None:
            text = await self._nearest_request(request, state, text)
            text = _objection(request, state, text) or text
        meaning = intents.parse(text)
        if revision is not None or undoing.undoes(meaning, state):
            words, call = "", None
            if refused := skill_permissions.refusal("undo", self._forbidden_tools):
                words, revision = refused, None
            elif after_undo or revision is None or revision.replaces is not None:
                words, call, before = await undoing.undo(request, state)
                revision = revision or before
            if revision is None:
                state.last = None
            if call is not None:
                state.revision = revision
                yield call
                return
            if revision is None:
                for say in _as_output(words, state):
                    yield say
                return
        text = revision.text if revision is not None else text
        async for output in self._respond(request, state, text, revision=revision):
            yield output

    async def _nearest_request(
        self, request: AssistantRequest, state: DialogueState, text: str
    ) -> str:
        """Return the request that speech sounds like; the text itself if a tool fits it better."""
        last = conversation_messages.spoken(request.messages)[-1:]
        if self._nearest is None or not all(message.spoken for message in last):
            return text
        nearest = await self._nearest.correct(text)
        if nearest == text and undoing.is_likely(state):
            nearest = await self._nearest.likely(text, undoing.REQUESTS)
        tools, choice, now = request.tools, request.tool_choice, self._now()
        before = tool_selection.choose(text, None, tools, choice, now)
        after = tool_selection.choose(nearest, intents.parse(nearest), tools, choice, now)
        same_tool = before is None or (after is not None and after.name == before.name)
        return nearest if same_tool else text

    async def _respond(
        self,
        request: AssistantRequest,
        state: DialogueState,
        text: str,
        sure: bool = False,
        revision: Revision | None = None,
    ) -> AsyncGenerator[AssistantOutput, None]:
        """Do what the complete request asks.

        sure: the user said yes to it. revision: the request, if it takes the place of another one.
        """
        said, _ = conversation_messages.user_texts(request.messages)
        meanings = intents.parse_all(text)
        meaning = meanings[0] if len(meanings) == 1 else None
        just_changed = state.last is not None and state.last.changes > 0
        before = state.last.meaning if state.last is not None else None
        if state.last is not None and meaning is not None and meaning.intent == "objection":
            state.last.said = said
        else:
            state.last = LastRequest(said, text, meaning, revision=revision)
        words = instruction_following.exact_words(request.instructions)
        calls: list[SelectedTool] = []
        refusals = [plausibility.refusal(one.intent, one.values) for one in meanings]
        words = words or " ".join(filter(None, refusals))
        if not words and not sure:
            words = confirmation.question(meanings, self._now(), before)
            words = words or self._doubt(request, text, meanings)
            state.offered = text if words else ""
        if not words or request.tool_choice not in ("auto", "none"):
            calls, meanings = self._calls(request, text, meanings)
            questions = [call.question for call in calls if call.question]
            words = words or " ".join(questions)
            calls = [call for call in calls if not call.question]
            words = words or (confirmation.permission(meaning) if calls else "")
        if words or meanings or not calls:
            if not words:
                words = await self._answer(request, state, text, meanings, just_changed)
                words = undoing.introduced(state, words)
            for output in _as_output(words, state):
                yield output
            if words == UNKNOWN and not any(HINT.strip() in one.text for one in request.messages):
                yield Say(HINT, silent=True)
        for call in calls:
            yield undoing.recorded_call(call, state)

    def _doubt(self, request: AssistantRequest, text: str, meanings: list[Meaning]) -> str:
        """Return the question if the user said this; empty if it is clear or changes nothing."""
        last = conversation_messages.spoken(request.messages)[-1:]
        heard = last[0].text if last and last[0].spoken else ""
        return confirmation.doubt(text, meanings) if heard and self._is_unsure(heard) else ""

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

    async def _answer(
        self,
        request: AssistantRequest,
        state: DialogueState,
        text: str,
        meanings: list[Meaning],
        just_changed: bool,
    ) -> str:
        if meanings:
            answers = [
                await self._answer_one(request, state, one, just_changed) for one in meanings
            ]
            return " ".join(answers)
        if not text:
            greeted = any(message.role == "assistant" for message in request.messages)
            if instruction_following.wants_greeting(request.instructions) or not greeted:
                return await self._answer_one(request, state, Meaning("greet"), False)
            return "I didn't catch that."
        return UNKNOWN

    async def _answer_one(
        self, request: AssistantRequest, state: DialogueState, meaning: Meaning, just_changed: bool
    ) -> str:
        if refused := skill_permissions.refusal(meaning.intent, self._forbidden_tools):
            return refused
        messages = request.messages
        context = AnswerContext(
            meaning.values,
            state.notebook,
            self._timers,
            self._now,
            self._random,
            state.last_reply(messages),
            instruction_following.own_name(request.instructions),
            state.take_unheard(messages) if meaning.intent == "continue" else "",
            just_changed,
            state.record,
        )
        answer = ANSWERS[meaning.intent]
        try:
            if meaning.intent not in BLOCKING:
                return answer(context)
            async with asyncio.timeout(_BLOCKING_S):
                said = await asyncio.to_thread(answer, context)
            return f"{said} {state.notebook.take_warning()}".rstrip()
        except VoicechatError as error:
            return error.message
        except TimeoutError:
            return "The disk does not respond, so I couldn't do that."


def _as_output(text: str, state: DialogueState) -> list[Say]:
    state.add_reply(text)
    return [Say(piece) for piece in clauses.split(text)]


def _instructed_words(request: AssistantRequest) -> str:
    """Return the summary or the quotation that the instructions ask for; empty for others."""
    if instruction_following.wants_summary(request.instructions):
        return summary(request.messages)
    if words := instruction_following.exact_words(request.own_instructions):
        return words
    return instructed_request.quoted_answer(request)


def _own_words(request: AssistantRequest) -> str:
    """Return the words about new system messages, or about an aside; empty without either."""
    if request.is_aside and request.own_instructions:
        return UNKNOWN
    return conversation_messages.new_system_messages(request.messages)


def _results_in_words(results: Sequence[Message], state: DialogueState) -> str:
    """Return the tool results as sentences. Forget the changes of failed calls.

    The undo that came before a corrected request is not mentioned.
    """
    for result in results:
        if conversation_messages.is_failure(result):
            state.drop_change(result.call_id)
    spoken = [result for result in results if result.name != undoing.TOOL] or results
    words = " ".join(result_speech.spoken_result(result.text) for result in spoken)
    return undoing.introduced(state, words)


def _chosen_timer(request: AssistantRequest, state: DialogueState) -> str:
    """Return the request that an answer to "Which one?" completes; empty for other texts."""
    spoken = conversation_messages.spoken(request.messages)
    meaning = state.last.meaning if state.last else None
    if len(spoken) < 2 or meaning is None or meaning.intent != "timer_cancel":
        return ""
    question, answer = spoken[-2], spoken[-1]
    if not question.text.startswith(clarification.WHICH_ONE) or intents.parse(answer.text):
        return ""
    kind = str(meaning.values.get("kind", "timer"))
    for text in clarification.requests_for(answer.text, kind):
        found = intents.parse(text)
        if found is not None and found.intent == "timer_cancel":
            return text
    return ""


def _objection(request: AssistantRequest, state: DialogueState, text: str) -> str:
    """Return "no" for an unclear text that begins with it after a change; empty for other texts.

    "No, I meant twenty" can sound like an introduction: "No, I'm Antoine."
    """
    if state.last is None or not state.last.changes or not corrections.objects(text):
        return ""
    meanings = intents.parse_all(text)
    if meanings and meanings[0].intent != "name_set":
        return ""
    return "" if tool_selection.names_one(text, request.tools) else "no"


def _question(request: AssistantRequest, state: DialogueState) -> str:
    """Return the current request. Join an answer to a clarification question to that request."""
    spoken = conversation_messages.spoken(request.messages)
    if not spoken or spoken[-1].role != "user":
        return ""
    text = spoken[-1].text.strip()
    asked = len(spoken) > 2 and clarification.is_question(spoken[-2].text)
    if not asked or intents.parse(text) or tool_selection.names_one(text, request.tools):
        return text
    asked_for = _asked_for(state, spoken[-3].text)
    links = ("", "for ", "at ", "in ")
    candidates = [f"{asked_for} {link}{text[:1].lower() + text[1:]}" for link in links]
    for fits in (intents.is_complete, intents.parse):
        if found := next(filter(fits, candidates), ""):
            return found
    joined = f"{asked_for} for {text.removeprefix('for ')}"
    chosen = tool_selection.choose(
        joined, intents.parse(joined), request.tools, request.tool_choice
    )
    if chosen is None or not chosen.question:
        return joined
    return text


def _asked_for(state: DialogueState, text: str) -> str:
    """Return the request that the question was about. text: the turn before the question."""
    last = state.last
    request = last.meaning.values.get("request") if last is not None and last.meaning else None
    return str(request or (last.text if last is not None else text)).rstrip(" .?!")


def offline_assistant(
    folder: Path | None = None,
    forbidden_tools: Collection[str] = (),
    phonemes: Phonemes | None = None,
    is_unsure: Callable[[str], bool] | None = None,
) -> Assistant:
    """Create the offline assistant, not yet open.

    folder: of the notebook; None keeps a notebook in memory for each session.
    forbidden_tools: built-in tools whose skills the assistant refuses.
    phonemes: pronunciations of words, to find the nearest-sounding request for speech.
    is_unsure: tells if the recognizer is unsure of a text.
    """
    return OfflineAssistant(
        folder, forbidden_tools=forbidden_tools, phonemes=phonemes, is_unsure=is_unsure
    )

"""What can be done with a conversation beside talking: to its items, its settings, beside it.

Every `Session` has one, as `session.conduct`. Nothing here waits for the network but `aside` and
`fetch`, and those have their deadlines.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

from voicechat.core import effects, inputs
from voicechat.core.items import Role
from voicechat.errors import SessionLost, UsageError, VoicechatError
from voicechat.providers.codec import Codec, deferred, unsupported
from voicechat.session.costs import Spending
from voicechat.session.images import Place, Showing, named, places
from voicechat.session.model import Partner
from voicechat.session.updates import Told, Update

FETCH_S = 10.0
"""Seconds a provider has to give an item."""

ASIDE_S = 60.0
"""Seconds after which an aside is given up here; the conversation gives it up before that."""

SUMMARY = (
    "Summarize this conversation so far in at most five short sentences, in the language it is"
    " held in. Write the summary and nothing else."
)


class Conduct:
    """Shapes a conversation from outside.

    partner   whom one talks with
    take      is given every input for the conversation
    tell      is told what the person wants to know
    codec     gives the codec of the connection that stands
    go_on     begins another connection with everything that was said; it is told why, and
              whether that is to a model that was not tried yet
    """

    def __init__(
        self,
        partner: Partner,
        take: Callable[[inputs.Input], None],
        tell: Callable[[Update], None],
        codec: Callable[[], Codec | None],
        go_on: Callable[[str, bool], None],
    ) -> None:
        self.tasks: asyncio.TaskGroup | None = None
        """Where pictures are read and summaries waited for; None while nothing runs."""
        self.spending = Spending(partner.options.prices)
        """What was used, and about what that costs."""
        self._partner = partner
        self._take = take
        self._tell = tell
        self._codec = codec
        self._go_on = go_on
        self._showing = Showing(take, tell)
        self._asides: dict[str, asyncio.Future[str]] = {}
        self._fetched: deque[tuple[str, asyncio.Future[Mapping[str, object] | None]]] = deque()
        self._summing = 0
        self._numbers = count(1)

    @property
    def pending(self) -> bool:
        """Whether a picture is being read or a summary made."""
        return bool(self._showing.reading or self._summing)

    # ----------------------------------------------------------------- words and pictures

    def say(self, text: str) -> None:
        """Say a line, or show the picture whose path it is."""
        where = places(text)
        if where and self.tasks is not None:
            self._show(where, text)
        else:
            self._take(inputs.Typed(text))

    def show(self, argument: str) -> None:
        """Show the picture at the beginning of the argument, with the words behind it.

        Raises `UsageError` for what can be no path. Whether there is a picture is told later.
        """
        where = named(argument)
        if not where:
            raise UsageError("/image takes the path of a picture, and words if you like.")
        self._show(where)

    def _show(self, where: list[Place], otherwise: str | None = None) -> None:
        if self.tasks is not None:
            partner = self._partner
            self._showing.start(self.tasks, where, partner.can, partner.name, otherwise)

    # ----------------------------------------------------------------- beside the conversation

    async def aside(self, instructions: str) -> str:
        """Ask the model something that neither disturbs the conversation nor becomes part of it.

        Gives the answer as text. Raises `SessionLost` when there is none.
        """
        key = f"aside_{next(self._numbers)}"
        answer = self._asides[key] = asyncio.get_running_loop().create_future()
        try:
            self._take(inputs.AskOutOfBand(key, instructions))
            async with asyncio.timeout(ASIDE_S):
                text: str = await answer
                return text
        except TimeoutError:
            raise SessionLost("The model did not answer in time.") from None
        finally:
            del self._asides[key]

    def summarize(self) -> None:
        """Have the conversation summed up; the summary is `Told`, and disturbs nothing."""
        if self.tasks is not None:
            self._summing += 1
            self.tasks.create_task(self._sum_up())

    async def _sum_up(self) -> None:
        try:
            told: Update = Told("Summary", await self.aside(SUMMARY))
        except VoicechatError as error:
            told = effects.Notice(
                f"There is no summary: {_inside(error.message)}", effects.Level.WARNING
            )
        self._summing -= 1
        self._tell(told)

    # ----------------------------------------------------------------- what was said

    def insert(self, role: Role, text: str, after: str | None = None) -> str:
        """Put a message in, at the end or behind the item `after`; asks for no answer. Its id."""
        item_id = f"inserted_{next(self._numbers)}"
        self._take(inputs.InsertMessage(item_id, role.value, text, after))
        return item_id

    def forget(self, entry_id: str) -> None:
        """Take an item or a tool call out, here and at the provider."""
        self._take(inputs.ForgetItem(entry_id))

    def forget_last(self) -> None:
        """Take out the person's last turn and all that followed it, if there is one."""
        self._take(inputs.ForgetLast())

    async def fetch(self, item_id: str) -> Mapping[str, object]:
        """An item as the provider has it, in the shape of its wire.

        Raises `SessionLost` when it cannot be had.
        """
        found: asyncio.Future[Mapping[str, object] | None]
        found = asyncio.get_running_loop().create_future()
        waiting = (item_id, found)
        self._fetched.append(waiting)
        self._take(inputs.FetchItem(item_id))
        try:
            async with asyncio.timeout(FETCH_S):
                item = await found
        except TimeoutError:
            item = None
        finally:
            if waiting in self._fetched:
                self._fetched.remove(waiting)
        if item is None:
            raise SessionLost(f"The provider does not give the item {item_id}.")
        return item

    # ----------------------------------------------------------------- settings

    @property
    def instructions(self) -> str:
        """How the model is asked to behave."""
        return self._partner.settings.instructions or ""

    @property
    def speed(self) -> float:
        """How fast it is asked to speak; 1 is usual."""
        return self._partner.settings.speed or 1.0

    @property
    def voices(self) -> tuple[str, ...]:
        """The voices of this model; empty when nobody knows them."""
        return self._partner.choice.voices

    def change(self, **changes: object) -> list[str]:
        """Ask for another `voice`, other `instructions` or another `speed` from now on.

        Gives a sentence for what this model cannot do, and for what only holds for the next
        connection.
        """
        partner, codec = self._partner, self._codec()
        before = partner.settings
        wanted = dict(partner.options.wanted)
        if "speed" in changes:
            wanted["speed"] = changes.pop("speed")
        partner.options = replace(partner.options, wanted=wanted, **changes)  # type: ignore[arg-type]
        settings, notes = partner.settings, []
        if codec is not None:
            known = unsupported(codec, before)
            notes = [note for note in unsupported(codec, settings) if note not in known]
            notes += deferred(codec, settings)
        self._take(inputs.Configure(settings))
        return notes

    def change_model(self, name: str) -> None:
        """Go on with another model, PROVIDER/MODEL, which is told what was said.

        Raises `UsageError` for names that cannot be and during a recording, `KeyMissing` without
        a key. When the model cannot be had, that is told and the one before goes on.
        """
        if self._partner.options.record is not None:
            raise UsageError("A recording keeps its model.", "Begin another one with --model.")
        self._partner.change(name)
        self._moved(untried=True)

    def go_back(self, error: VoicechatError) -> bool:
        """This model cannot be had: go on with the one before. False when there is none."""
        lost = self._partner.name
        if not self._partner.go_back():
            return False
        text = f"{lost} cannot be had, so {self._partner.name} goes on: {error.message}"
        self._tell(effects.Notice(text, effects.Level.ERROR, error.hint))
        self._moved(untried=False)
        return True

    def _moved(self, *, untried: bool) -> None:
        self._go_on(f"Going on with {self._partner.name}.", untried)
        for doubt in self._partner.doubts:
            self._tell(effects.Notice(doubt, effects.Level.WARNING))

    # ----------------------------------------------------------------- effects

    def settle(self, effect: effects.Effect) -> bool:
        """Give the answer of an effect to whoever waits for it; False for what is for all."""
        match effect:
            case effects.UsageChanged():
                self.spending.add(self._partner.name, effect)
                return False
            case effects.OutOfBandAnswered(key, text, error):
                self._answer(key, text, error)
            case effects.ItemFetched(item_id, item):
                self._fetch(item_id, item)
            case _:
                return False
        return True

    def _answer(self, key: str, text: str, error: str) -> None:
        answer = self._asides.get(key)
        if answer is None or answer.done():
            return
        if error:
            answer.set_exception(SessionLost(error))
        else:
            answer.set_result(text)

    def _fetch(self, item_id: str, item: Mapping[str, object] | None) -> None:
        # A refusal does not say of which item; the first one asked for is answered first.
        for waiting in list(self._fetched):
            if waiting[0] == item_id or not item_id:
                self._fetched.remove(waiting)
                if not waiting[1].done():
                    waiting[1].set_result(item)
                return


def _inside(sentence: str) -> str:
    """A sentence within another one."""
    return sentence[:1].lower() + sentence[1:]

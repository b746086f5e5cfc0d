"""A session that the test controls, with the interface of `Session`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from following import Publisher

from voicechat.core.effects import EntryChanged, EntryRemoved, Floor, FloorChanged, Notice
from voicechat.core.events import RateLimit
from voicechat.core.inputs import Decision
from voicechat.core.items import (
    Entry,
    Item,
    ItemStatus,
    Role,
    ToolCall,
    ToolState,
    Transcript,
    Usage,
    entry_id,
)
from voicechat.core.settings import Capabilities
from voicechat.errors import VoicechatError
from voicechat.providers.client_frames import checked_frame
from voicechat.providers.openai.openai_client_events import GENERAL_EVENTS
from voicechat.session.updates import (
    Cleared,
    ConsoleRequested,
    CopyRequested,
    HelpRequested,
    LevelsChanged,
    Link,
    LinkChanged,
    ModeChanged,
    PickerRequested,
    Report,
    SoundChanged,
    ThemeRequested,
)
from voicechat.tools.question import Question


class ScriptedSession(Publisher):
    """Holds a transcript; `asked` records the calls of the screen."""

    def __init__(self, *, with_sound: bool = True, hands_free: bool = True) -> None:
        super().__init__()
        self.transcript = Transcript()
        self.floor = Floor.LISTENING if with_sound and hands_free else Floor.IDLE
        self.link = Link.ONLINE
        self.muted = self.half_duplex = False
        self.hands_free = hands_free
        self.talking = False
        self.pending = self.recording = False
        self.with_sound = with_sound
        self.joins_call, self.speaker_label = False, "You"
        self.microphone = "Built-in microphone" if with_sound else None
        self.microphone_is_silent = False
        self.speaker = "Built-in speaker" if with_sound else None
        self.model = "local/built-in"
        self.voice = "en-gb"
        self.latency_ms: float | None = None
        self.usage = Usage()
        self.shown_cost = self.losses = ""
        self.budget_used_up = False
        self.latency_parts = ""
        self.near_limit: RateLimit | None = None
        self.limits: tuple[RateLimit, ...] = ()
        self.voices: tuple[str, ...] = ()
        self.capabilities = Capabilities()
        self.client_events = GENERAL_EVENTS
        self.waiting_servers: tuple[str, ...] = ()
        self.questions: tuple[Question, ...] = ()
        self.themes: tuple[str, ...] = ()
        self.conversation_id = ""
        self.theme = ""
        self.can_sample = False
        self.loudness = LevelsChanged(-100.0, -100.0)
        self.settings = SimpleNamespace(unsaved={})
        self.volume = 100
        self.asked: list[tuple[object, ...]] = []
        self.failure: BaseException | None = None
        self.offline_error: VoicechatError | None = None
        self._over = asyncio.Event()

    # ------------------------------------------------------------ what the screen calls

    async def run(self) -> None:
        await self._over.wait()
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self.asked.append(("close",))
        self._over.set()

    def request_help(self) -> None:
        self.tell(HelpRequested())

    def request_theme(self, name: str) -> None:
        self.tell(ThemeRequested(name))

    def request_picker(self, name: str, selected: str = "") -> None:
        self.tell(PickerRequested(name, selected))

    def request_copy(self, text: str) -> None:
        self.tell(CopyRequested(text))

    def request_console(self, text: str) -> None:
        self.tell(ConsoleRequested(text))

    def past_frames(self) -> tuple[()]:
        return ()

    def send_event(self, text: str) -> None:
        checked_frame(self.client_events, text)
        self.asked.append(("send_event", text))

    def may_have_voice(self, name: str) -> bool:
        return name in self.voices

    def type(self, text: str) -> None:
        self.asked.append(("type", text))

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        entries = self.transcript.entries
        calls = (entry for entry in entries if isinstance(entry, ToolCall))
        return tuple(call for call in calls if call.state is ToolState.ASKING)

    def decide(self, call_id: str, arguments: str, decision: Decision, reason: str = "") -> None:
        self.asked.append(("decide", call_id, arguments, decision, reason))
        call = self.transcript.get(call_id)
        if isinstance(call, ToolCall) and call.state is ToolState.ASKING:
            call.state = ToolState.DENIED if decision is Decision.DENY else ToolState.RUNNING
            self.changed(call)

    def answer_question(self, number: int, text: str) -> None:
        self.asked.append(("answer", number, text))

    def decline_question(self, number: int) -> None:
        self.asked.append(("decline", number))

    def dismiss_questions(self) -> None:
        self.questions = ()

    def interrupt(self) -> None:
        self.asked.append(("interrupt",))

    def set_muted(self, on: bool) -> None:
        self.asked.append(("set_muted", on))
        self.muted = on
        self._tell_mode()

    def talk(self, on: bool) -> None:
        self.asked.append(("talk", on))
        self.talking = on
        self.turn_to(Floor.HEARING if on else Floor.THINKING)
        self._tell_mode()

    def set_hands_free(self, on: bool) -> None:
        self.asked.append(("set_hands_free", on))
        self.hands_free = on
        self.turn_to(Floor.LISTENING if on else Floor.IDLE)
        self._tell_mode()

    def report_latency(self) -> None:
        self.tell(Report("Latency", "turn 1\np50"))

    def allow_more(self) -> str:
        self.asked.append(("allow_more",))
        self.budget_used_up = False
        return "Allowed $0.50 more for this session, $3.00 in all."

    def allow_server(self, server: str) -> None:
        self.asked.append(("allow_server", server))

    async def wait_for_tools(self) -> None:
        return

    def new_conversation(self) -> None:
        self.asked.append(("new_conversation",))
        self.transcript = Transcript()
        self.tell(Cleared())

    # ------------------------------------------------------------ what the test calls

    def fail(self, error: BaseException) -> None:
        """Make `run` raise the error."""
        self.failure = error
        self._over.set()

    def put(self, entry: Entry, after: str | None = None) -> Entry:
        """Add an entry to the conversation."""
        self.transcript.add(entry, after)
        self.changed(entry)
        return entry

    def said(self, role: Role, text: str, **more: object) -> Item:
        """Add a finished item."""
        count = len(self.transcript.entries)
        item = Item(f"item_{count}", role, text, ItemStatus.COMPLETED, spoken=True)
        for name, value in more.items():
            setattr(item, name, value)
        self.put(item)
        return item

    def you(self, text: str, **more: object) -> Item:
        return self.said(Role.USER, text, **more)

    def voiced(self, text: str, **more: object) -> Item:
        return self.said(Role.ASSISTANT, text, **more)

    def call(self, name: str, arguments: str, state: ToolState, **more: object) -> ToolCall:
        count = len(self.transcript.entries)
        call = ToolCall(f"call_{count}", f"item_{count}", "resp", name, arguments, state)
        for key, value in more.items():
            setattr(call, key, value)
        self.put(call)
        return call

    def changed(self, entry: Entry) -> None:
        self.tell(EntryChanged(entry_id(entry)))

    def gone(self, entry: Entry) -> None:
        self.transcript.remove(entry_id(entry))
        self.tell(EntryRemoved(entry_id(entry)))

    def turn_to(self, floor: Floor) -> None:
        self.floor = floor
        self.tell(FloorChanged(floor))

    def link_to(self, link: Link, text: str = "") -> None:
        self.link = link
        self.tell(LinkChanged(link, text))

    def levels(
        self, mic: float, speaker: float, mic_peak: float = -100.0, speaker_peak: float = -100.0
    ) -> None:
        self.tell(LevelsChanged(mic, speaker, mic_peak, speaker_peak))

    def sound(self, problem: str, hint: str = "") -> None:
        self.microphone = self.speaker = None
        self.hands_free = False
        self.turn_to(Floor.IDLE)
        self.tell(SoundChanged(None, None, problem, hint))

    def notice(self, notice: Notice) -> None:
        self.tell(notice)

    def _tell_mode(self) -> None:
        self.tell(ModeChanged(self.muted, self.hands_free, self.talking))

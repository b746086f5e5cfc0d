"""The one main screen: shows what the session tells and tells it what the user does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from voicechat.core.effects import Floor, Level, Notice
from voicechat.errors import VoicechatError
from voicechat.line_mode.slash_commands import HELP, QUIT, find_command, is_command, run_command
from voicechat.session.event_stream import Overflow
from voicechat.session.updates import UPDATES, Link, SoundChanged
from voicechat.tui.keys import KEYS
from voicechat.tui.pending_changes import WAITING, Changes
from voicechat.tui.safe_text import plain
from voicechat.tui.screens.help_screen import HelpScreen
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.approval_card import ApprovalCard
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.key_line import KeyLine
from voicechat.tui.widgets.status_lines import FloorLine, TopLine, can_talk
from voicechat.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from voicechat.session.session import Session

FRAME = 1 / 15
"""Seconds between two looks at what changed: faster than words are spoken."""

_OF_SOUND = {key.action for key in KEYS if key.sound}
_PRIORITY = {"earlier", "later"}
_SEVERITIES = {
    Level.INFO: ("information", ""),
    Level.WARNING: ("warning", "▲ "),
    Level.ERROR: ("error", "✗ "),
}
"""Textual's name of a notice's level, and the sign that tells it without color."""


def greeting(session: Session) -> Content:
    """What one can say, for an empty conversation."""
    verb = "Say or type" if session.with_sound else "Type"
    examples = (
        "what time is it",
        "set a timer for ten minutes",
        "what is 17 times 23",
        "what can you do",
    )
    lines = [Content(f"{verb} something, for example").stylize(QUIET), Content("")]
    lines += [Content(f"“{example}”") for example in examples]
    lines += [Content("")]
    if session.with_sound:
        lines += [Content("Talk over the answer to stop it.").stylize(QUIET)]
    else:
        lines += [Content("Enter sends; Esc stops the answer.").stylize(QUIET)]
    return Content("\n").join(lines)


def _placeholder(session: Session) -> str:
    if not session.with_sound or session.microphone is None:
        return "Type a message"
    if session.hands_free:
        return "Type a message, or just talk"
    return "Type a message, or press Space to talk"


class ConversationScreen(Screen[None]):
    """Top line, transcript, banner, floor line, composer, keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            key.keys,
            key.action,
            key.word or key.action,
            id=key.action,
            show=bool(key.word),
            priority=key.action in _PRIORITY,
        )
        for key in KEYS
        if key.action != "quit"
    ]
    AUTO_FOCUS = "#composer"

    def __init__(self, session: Session) -> None:
        super().__init__()
        # Class names by height and width in cells; the style sheet tells what they change.
        self.VERTICAL_BREAKPOINTS = [(0, "-tiny"), (8, "-flat"), (12, "-low"), (20, "-high")]
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-normal"), (100, "-wide")]
        self._session = session
        self._changes = Changes(
            session.subscribe("screen", limit=WAITING, overflow=Overflow.COALESCE, wants=UPDATES)
        )
        self._flushing = asyncio.Lock()
        self._mode: tuple[bool, ...] = ()

    def compose(self) -> ComposeResult:
        """Few widgets: the first frame should be there at once."""
        session = self._session
        yield TopLine(session)
        yield TranscriptView(session.transcript, greeting(session))
        yield ApprovalCard()
        yield Static("", markup=False, id="banner")
        yield FloorLine(session)
        yield Composer()
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin to look at what changes."""
        self._mode_changed()
        self._paint()

    # ---------------------------------------------------------------- what the session tells

    @work(group="paint")
    async def _paint(self) -> None:
        while await self._changes.wait():
            self._changes.collect()
            if self._changes.only_levels:
                self._changes.forget()
                self._show_levels()
            else:
                await self.flush()
            await asyncio.sleep(FRAME)

    async def flush(self) -> None:
        """Show everything the session said since the last time."""
        async with self._flushing:
            changes = self._changes
            changes.collect()
            entries, cleared = tuple(changes.entries), changes.cleared
            notices, sound = tuple(changes.notices), changes.sound
            told = tuple(changes.told)
            changes.forget()
            with self.app.batch_update():
                view = self.query_one(TranscriptView)
                if cleared:
                    await view.fill(self._session.transcript)
                elif entries:
                    await view.show(entries)
                if sound is not None:
                    self._show_sound(sound)
                for notice in notices:
                    self._show_notice(notice)
                for reading in told:
                    self._lay_over(reading.title, reading.text)
                await self._show_card()
                self.refresh_state()

    async def _show_card(self) -> None:
        for card in self.query(ApprovalCard):
            if await card.show(self._session.asking) and card.has_focus:
                self.query_one(Composer).focus()

    def refresh_state(self) -> None:
        """Draw floor, link and modes as the session has them."""
        self._show_levels()
        self.query_one(TopLine).show()
        self._mode_changed()

    def _show_levels(self) -> None:
        self.query_one(FloorLine).show(self._changes.levels, self._changes.link_text)

    def _show_notice(self, notice: Notice) -> None:
        severity, sign = _SEVERITIES[notice.level]
        text = f"{sign}{notice.text} {notice.hint}".strip()
        timeout = 10 if notice.hint else 5
        self.app.notify(
            plain(text).plain,
            severity=severity,  # type: ignore[arg-type]
            timeout=timeout,
            markup=False,
        )

    def _show_sound(self, sound: SoundChanged) -> None:
        self.show_problem(sound.problem, sound.hint)

    def show_problem(self, problem: str, hint: str = "") -> None:
        """Keep one sentence and its remedy above the floor line; an empty one takes it away."""
        banner = self.query_one("#banner", Static)
        banner.display = bool(problem)
        if problem:
            words = Content.assemble(("▲ ", "bold $warning"), plain(problem))
            remedy = Content.assemble("  ", plain(hint, QUIET)) if hint else Content("")
            banner.update(Content.assemble(words, remedy))

    def _mode_changed(self) -> None:
        session = self._session
        composer = self.query_one(Composer)
        composer.space_talks = can_talk(session)
        composer.placeholder = _placeholder(session)
        state = (
            session.microphone is not None,
            session.hands_free,
            session.floor in {Floor.THINKING, Floor.SPEAKING, Floor.WORKING},
            bool(session.asking),
            session.link is Link.ONLINE,
        )
        if state != self._mode:
            self._mode = state
            self.refresh_bindings()

    # ---------------------------------------------------------------- what the user does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Hide what this session cannot do; grey out what it cannot do now."""
        if action in _OF_SOUND:
            return self._check_sound(action)
        if action == "interrupt":
            busy = {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}
            return True if self._session.floor in busy or self._session.asking else None
        if action == "decide":
            return bool(self._session.asking)
        return True

    def _check_sound(self, action: str) -> bool | None:
        if not self._session.with_sound:
            return False
        if action == "talk":
            return can_talk(self._session) or None
        return self._session.microphone is not None or None

    @on(Composer.Sent)
    def _sent(self, message: Composer.Sent) -> None:
        if is_command(message.text):
            self._obey(message.text.strip())
        else:
            self._session.type(message.text)
        self.query_one(TranscriptView).anchor()

    def _obey(self, line: str) -> None:
        """Carry out a command behind a slash."""
        if line == HELP:
            self.action_help()
        elif line in QUIT:
            self.app.call_later(self.app.action_quit)
        else:
            try:
                said = run_command(self._session, line)
            except VoicechatError as error:
                self.notify(str(error), severity="warning", markup=False)
            else:
                self._answer(line, said)

    def _answer(self, line: str, said: str | None) -> None:
        """Show what a command said: some lines stay until they are read."""
        command = find_command(line)
        if said and "\n" in said:
            self._lay_over(line.split()[0].strip("/").title(), said)
        elif said or not (command and command.starts_turn):
            self.notify(plain(said or "Done.").plain, markup=False)

    def _lay_over(self, title: str, text: str) -> None:
        self.app.push_screen(Sheet(title, plain(text)))

    @on(Composer.TalkKey)
    def _talk_key(self, message: Composer.TalkKey) -> None:
        if message.released:
            self._session.talk(False)
        else:
            self.action_talk()

    def action_talk(self) -> None:
        """Push-to-talk: open the floor, or hand over what was said."""
        self._session.talk(not self._session.talking)

    def action_mute(self) -> None:
        """Close or open the microphone."""
        self._session.set_muted(not self._session.muted)

    def action_hands_free(self) -> None:
        """Change between hands-free and push-to-talk."""
        self._session.set_hands_free(not self._session.hands_free)

    def action_interrupt(self) -> None:
        """Stop speech, thinking and tools."""
        self._session.interrupt()

    def action_new_conversation(self) -> None:
        """Begin again."""
        self._session.new_conversation()

    def action_unfold(self) -> None:
        """Show tool results whole, or fold them."""
        self.query_one(TranscriptView).unfold()

    def action_decide(self) -> None:
        """Go to the card of the tool that waits."""
        for card in self.query(ApprovalCard):
            if card.display:
                card.focus()

    @on(ApprovalCard.Decided)
    def _decided(self, message: ApprovalCard.Decided) -> None:
        self.query_one(Composer).focus()
        self._session.decide(message.call_id, message.arguments, message.decision)

    @on(ApprovalCard.WithWords)
    def _deny_with_words(self, message: ApprovalCard.WithWords) -> None:
        composer = self.query_one(Composer)
        composer.focus()
        composer.begin(f"/deny {message.number} ")

    @on(ApprovalCard.Typed)
    def _typed_at_the_card(self, message: ApprovalCard.Typed) -> None:
        composer = self.query_one(Composer)
        composer.focus()
        composer.take(message.text, pasted=message.pasted)

    async def action_earlier(self) -> None:
        """A page back in the conversation, or in what a tool would do."""
        for card in self.query(ApprovalCard):
            if card.has_focus:
                card.page(-1)
                return
        await self.query_one(TranscriptView).page_up()

    async def action_later(self) -> None:
        """A page on in the conversation, or in what a tool would do."""
        for card in self.query(ApprovalCard):
            if card.has_focus:
                card.page(1)
                return
        await self.query_one(TranscriptView).page_down()

    def action_help(self) -> None:
        """Show the keys."""
        self.app.push_screen(HelpScreen(self._session.with_sound))

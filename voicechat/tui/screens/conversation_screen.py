"""The conversation screen: shows the session and passes the user's actions to it."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.widgets import Static

from voicechat.core.effects import Floor, Level, Notice
from voicechat.errors import VoicechatError
from voicechat.line_mode.slash_commands import QUIT, find_command, is_command, run_command
from voicechat.line_mode.sound_commands import with_commands
from voicechat.session import updates
from voicechat.session.updates import Link, ScreenRequest, SoundChanged
from voicechat.tui.keys import KEYS, key_of, names_of
from voicechat.tui.link_opener import open_link
from voicechat.tui.pending_changes import PendingChanges, changes_of
from voicechat.tui.safe_text import plain
from voicechat.tui.screens.composer_host import ComposerHost
from voicechat.tui.screens.console_host import ConsoleHost
from voicechat.tui.screens.find_host import FindHost
from voicechat.tui.screens.help_screen import HelpScreen
from voicechat.tui.screens.picker_screen import PickerScreen
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.themes import ThemeChosen
from voicechat.tui.usage_hints import greeting, placeholder, why_no_sound_key
from voicechat.tui.user_caller import StateDrawn
from voicechat.tui.widgets.approval_card import ApprovalCard, cards_of
from voicechat.tui.widgets.completion_list import CompletionList
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.entry_widgets import EntryLine
from voicechat.tui.widgets.key_line import KeyLine
from voicechat.tui.widgets.notice_line import NOTICE_S, NoticeLine
from voicechat.tui.widgets.status_lines import FloorLine, TopLine, can_talk
from voicechat.tui.widgets.transcript_view import NewBelowHint, TranscriptView

if TYPE_CHECKING:
    from voicechat.session.session import Session

FRAME_S = 1 / 15
"""Time in seconds between two paints; shorter than a spoken word."""

_SOUND_ACTIONS = {key.action for key in KEYS if key.needs_sound}
_EDITING = {"find", "search_history", "edit_in_editor"}
_PRIORITY_ACTIONS = {"previous_page", "next_page", "newest", "history", "console"} | _EDITING
"""Actions whose keys work even if the focused widget binds them."""
CONFIRM_S = 4.0
"""Time in seconds within which a second press confirms a new conversation."""


class ConversationScreen(ComposerHost, FindHost, ConsoleHost):
    """The main screen: top line, transcript, approval card, banner, floor line, composer, keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            key.keys,
            key.action,
            key.label or key.action,
            id=key.action,
            show=bool(key.label),
            priority=key.action in _PRIORITY_ACTIONS,
        )
        for key in KEYS
        if not key.of_app
    ]
    AUTO_FOCUS = "#composer"

    def __init__(
        self, session: Session, changes: PendingChanges | None = None, *, console: bool = False
    ) -> None:
        """`changes` are those of a session that runs; `console` opens the event console."""
        super().__init__()
        self._session = session
        self._opens_console = console
        self._changes = changes or changes_of(session)
        self._flush_lock = asyncio.Lock()
        self._binding_state: tuple[bool, ...] = ()
        self._confirm_until = float("-inf")
        """Time until which a second press starts a new conversation."""

    def compose(self) -> ComposeResult:
        """Yield few widgets, so that the first frame appears quickly."""
        session = self._session
        yield TopLine(session)
        yield TranscriptView(session.transcript, greeting(session))
        yield NewBelowHint()
        yield ApprovalCard()
        yield Static("", markup=False, id="banner")
        yield NoticeLine()
        yield FloorLine(session)
        yield CompletionList()
        composer = Composer()
        composer.complete = self._complete_with
        yield composer
        yield KeyLine()

    async def on_mount(self) -> None:
        """Start painting updates."""
        if self._opens_console:
            await self.open_console()
        self.watch(self.query_one(TranscriptView), "has_new_below", self._show_new_below)
        self._update_mode()
        self._paint()

    # ---------------------------------------------------------------- updates from the session

    @work(group="paint")
    async def _paint(self) -> None:
        while await self._changes.wait():
            self._changes.collect()
            try:
                if self._changes.only_levels:
                    self._changes.reset()
                    self._show_levels()
                else:
                    await self.flush()
            except NoMatches:
                if self.query(FloorLine):
                    raise
                return  # the screen closes: its widgets are already removed
            await asyncio.sleep(FRAME_S)

    async def flush(self) -> None:
        """Show all updates since the last paint."""
        async with self._flush_lock:
            changes = self._changes
            changes.collect()
            entries, redraw_all = tuple(changes.entries), changes.redraw_all
            notices, sound = tuple(changes.notices), changes.sound
            reports = tuple(changes.reports)
            requests = tuple(changes.requests.values())
            changes.reset()
            with self.app.batch_update():
                view = self.query_one(TranscriptView)
                if redraw_all:
                    await view.reload(self._session.transcript)
                elif entries:
                    await view.show(entries)
                if sound is not None:
                    self._show_sound(sound)
                for notice in notices:
                    self._show_notice(notice)
                for report in reports:
                    self._show_sheet(report.title, report.text)
                await self._show_card()
                self.refresh_state()
        for request in requests:
            await self._answer(request)

    async def _answer(self, request: ScreenRequest) -> None:
        match request:
            case updates.HelpRequested() if not isinstance(self.app.screen, HelpScreen):
                self.action_help()
            case updates.HistoryRequested(words):
                self._show_history(words)
            case updates.ConsoleRequested(text):
                await self.request_console(text)
            case updates.PickerRequested(name, selected):
                self.open_picker(name, selected)
            case updates.ThemeRequested(name):
                self.post_message(ThemeChosen(name))
            case updates.CopyRequested(text):
                self.app.copy_to_clipboard(text)

    async def _show_card(self) -> None:
        for card in cards_of(self):
            session = self._session
            if (
                await card.show((*session.asking, *session.questions), session.losses)
                and card.has_focus
            ):
                self.query_one(Composer).focus()

    def refresh_state(self) -> None:
        """Draw the current floor, link and modes of the session."""
        self._show_levels()
        self.query_one(TopLine).redraw()
        self._update_mode()
        self.post_message(StateDrawn())

    def _show_levels(self) -> None:
        changes, on_card = self._changes, self._is_on_card
        self.query_one(FloorLine).show(changes.levels, changes.link_text, on_card=on_card)

    def _show_notice(self, notice: Notice) -> None:
        seconds = NOTICE_S * 2 if notice.hint else NOTICE_S
        text = f"{notice.text} {with_commands(notice.hint)}"
        self.query_one(NoticeLine).show(text, notice.level, seconds, ends=notice.ends)

    def show_reply(self, text: str, level: Level = Level.INFO, seconds: float = NOTICE_S) -> None:
        """Show the reply to a key or a command of the user, over all earlier notices."""
        self.query_one(NoticeLine).show(text, level, seconds, is_reply=True)

    def _end_reply(self) -> None:
        """Remove the reply to the last action: another action makes its advice wrong."""
        self.query_one(NoticeLine).end_reply()

    def _show_new_below(self, has_new: bool) -> None:
        self.query_one(NewBelowHint).display = has_new

    def _show_sound(self, sound: SoundChanged) -> None:
        self.show_problem(sound.problem, with_commands(sound.hint))

    def show_problem(self, problem: str, hint: str = "") -> None:
        """Show a problem and its remedy in the banner; an empty problem hides the banner."""
        banner = self.query_one("#banner", Static)
        banner.display = bool(problem)
        if problem:
            text = Content.assemble(("▲ ", "bold $warning"), plain(problem))
            remedy = Content.assemble("  ", plain(hint, QUIET)) if hint else Content("")
            banner.update(Content.assemble(text, remedy))

    def _update_mode(self) -> None:
        session = self._session
        composer = self.query_one(Composer)
        composer.space_talks = can_talk(session)
        in_console = self.console is not None and self.console.has_focus_within
        composer.placeholder = placeholder(session, in_console=in_console)
        state = (
            session.microphone is not None,
            session.hands_free,
            session.floor in {Floor.THINKING, Floor.SPEAKING, Floor.WORKING} or session.talking,
            self._is_asked or session.budget_used_up,
            session.link is Link.ONLINE,
        )
        if state != self._binding_state:
            self._binding_state = state
            self.refresh_bindings()

    # ---------------------------------------------------------------- actions of the user

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for actions this session never allows, None for those it disallows now."""
        if action in _SOUND_ACTIONS:
            return self._check_sound(action)
        if action == "interrupt":
            session = self._session
            busy = session.floor in {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}
            return True if busy or session.asking or session.talking or session.joins_call else None
        if action == "decide":
            can_decide = self._is_asked and (not self._is_on_card or None)
            return can_decide or self._session.budget_used_up
        return True

    def _check_sound(self, action: str) -> bool | None:
        if not self._session.with_sound:
            return False
        if action == "talk":
            return can_talk(self._session) or None
        return self._session.microphone is not None or None

    def on_key(self, event: events.Key) -> None:
        """Type on in the composer, wherever the focus is; explain a key that has no effect now."""
        active = self.active_bindings.get(event.key)
        if (active is not None and active.enabled) or not self.query(Composer):
            return
        if event.key in names_of(lambda key: key.needs_sound):
            self.notify(why_no_sound_key(self._session, event.key), markup=False)
        elif event.is_printable and event.character is not None:
            if not self.explain_letter():
                self.type_on(event.character, pasted=False)
        else:
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the composer, wherever the focus is."""
        event.stop()
        self.type_on(event.text, pasted=True)

    @on(Composer.Sent)
    def _message_sent(self, message: Composer.Sent) -> None:
        if is_command(message.text):
            self._run_command(message.text.strip())
        elif not self.keeps(message.text):
            self._session.type(message.text)
        self.call_later(self.query_one(TranscriptView).go_to_newest)

    def start_command(self, line: str) -> None:
        """Run a slash command, or put it into the composer if it takes an argument."""
        command = find_command(line)
        if command is None or command.picker or not command.argument:
            self._run_command(line)
            return
        composer = self.query_one(Composer)
        composer.focus()
        composer.prefill(f"{line} ")

    def _run_command(self, line: str) -> None:
        """Run a slash command."""
        self._end_reply()
        if line in QUIT:
            self.app.call_later(self.app.action_quit)
        elif line.startswith("/find "):
            self.call_later(self.open_find, line.removeprefix("/find").strip())
        else:
            try:
                result = run_command(self._session, line)
            except VoicechatError as error:
                self.show_reply(str(error), Level.WARNING, NOTICE_S * 2)
            else:
                self._show_result(line, result)

    def _show_result(self, line: str, result: str | None) -> None:
        """Show the result of a command: several lines on a sheet, one line as a notice."""
        if result and "\n" in result:
            self._show_sheet(line.split()[0].strip("/").title(), result)
        elif result:
            self.show_reply(result)

    def _show_sheet(self, title: str, text: str) -> None:
        self.app.push_screen(Sheet(title, plain(text)))

    @on(Composer.TalkKey)
    def _talk_key(self, message: Composer.TalkKey) -> None:
        if message.released:
            self._session.talk(False)
        else:
            self.action_talk()

    def action_talk(self) -> None:
        """Start a push-to-talk turn, or end and send it."""
        self._end_reply()
        self._session.talk(not self._session.talking)

    def action_mute(self) -> None:
        """Mute or unmute the microphone."""
        self._end_reply()
        self._session.set_muted(not self._session.muted)

    def action_hands_free(self) -> None:
        """Switch between hands-free and push-to-talk."""
        self._end_reply()
        self._session.set_hands_free(not self._session.hands_free)

    def action_interrupt(self) -> None:
        """Stop speech, thinking and tools; deny what waits for a decision, and say so."""
        self._end_reply()
        session = self._session
        denied = [call.name for call in session.asking]
        session.interrupt()
        if denied:
            self.show_reply(f"Denied: {', '.join(denied)} will not run.")

    def action_new_conversation(self) -> None:
        """Start a new conversation; ask for a second press if the old one is not kept."""
        now = monotonic()
        is_kept = bool(self._session.conversation_id)
        if self._session.transcript.entries and not is_kept and now >= self._confirm_until:
            self._confirm_until = now + CONFIRM_S
            key = key_of("new_conversation")
            self.show_reply(f"Press {key} again to start a new conversation.", seconds=CONFIRM_S)
            return
        self._confirm_until = float("-inf")
        self._end_reply()
        is_filed = is_kept and bool(self._session.transcript.entries)
        self._session.new_conversation()
        if is_filed:
            key = key_of("history")
            self.show_reply(f"The conversation is in the history. {key} continues it.")

    def action_history(self) -> None:
        """Show the history."""
        self._end_reply()
        self._show_history("")

    def _show_history(self, words: str) -> None:
        from voicechat.tui.screens.history_screen import HistoryScreen

        if not isinstance(self.app.screen, HistoryScreen):
            self.app.push_screen(HistoryScreen(self._session, words))

    def action_toggle_results(self) -> None:
        """Expand or fold all tool results and long messages."""
        self.query_one(TranscriptView).toggle_results()

    def action_decide(self) -> None:
        """Focus the approval card; without one, allow more of a budget that is used up."""
        if not self._is_asked and self._session.budget_used_up:
            self._run_command("/continue")
        for card in cards_of(self):
            if card.display:
                card.focus()

    @property
    def _is_on_card(self) -> bool:
        """True if the approval card has the focus."""
        return any(card.has_focus for card in cards_of(self))

    @on(events.DescendantFocus)
    @on(events.DescendantBlur)
    def _focus_moved(self) -> None:
        """Draw the hints for the focused widget."""
        if self.query(FloorLine):  # not while the screen closes
            self._show_levels()
            self._update_mode()
            self.refresh_bindings()

    @on(ApprovalCard.Decided)
    def _decided(self, message: ApprovalCard.Decided) -> None:
        self.query_one(Composer).focus()
        self._session.decide(message.call_id, message.arguments, message.decision)

    @property
    def _is_asked(self) -> bool:
        """True if a call or a question waits for the user."""
        return bool(self._session.asking or self._session.questions)

    @on(ApprovalCard.Answered)
    def _answered(self, message: ApprovalCard.Answered) -> None:
        self.query_one(Composer).focus()
        message.settle(self._session)

    @on(ApprovalCard.CommandStarted)
    def _command_started(self, message: ApprovalCard.CommandStarted) -> None:
        composer = self.query_one(Composer)
        composer.focus()
        composer.prefill(message.text)

    @on(ApprovalCard.Typed)
    def _typed_on_card(self, message: ApprovalCard.Typed) -> None:
        self.type_on(message.text, pasted=message.pasted)

    async def action_previous_page(self) -> None:
        """Scroll the focused approval card or console, or the conversation, up by a page."""
        if self.page_console(-1):
            return
        for card in cards_of(self):
            if card.has_focus:
                card.page(-1)
                return
        await self.query_one(TranscriptView).page_up()

    async def action_next_page(self) -> None:
        """Scroll the focused approval card or console, or the conversation, down by a page."""
        if self.page_console(1):
            return
        for card in cards_of(self):
            if card.has_focus:
                card.page(1)
                return
        await self.query_one(TranscriptView).page_down()

    async def action_newest(self) -> None:
        """Scroll to the end of the conversation."""
        await self.query_one(TranscriptView).go_to_newest()

    @on(NewBelowHint.Clicked)
    async def _new_below_clicked(self) -> None:
        await self.action_newest()

    @on(EntryLine.LinkClicked)
    def _link_clicked(self, message: EntryLine.LinkClicked) -> None:
        self._open_link(message.url)

    @work(group="link", exclusive=True)
    async def _open_link(self, url: str) -> None:
        """Open the link, or copy it where there is no browser."""
        if not await open_link(url):
            self.app.copy_to_clipboard(url)
            self.show_reply("No browser can be opened here. The link is copied.")

    def action_settings(self) -> None:
        """Open the settings."""
        self._end_reply()
        self.open_picker("settings")

    def open_picker(self, name: str, selected: str = "") -> None:
        """Open a list to choose from, in place of the one that is open."""
        if isinstance(self.app.screen, PickerScreen):
            self.app.screen.show_picker(name, selected)
        else:
            self.app.push_screen(PickerScreen(self._session, name, selected))

    def action_help(self) -> None:
        """Show the help screen."""
        self.app.push_screen(HelpScreen(self._session.with_sound))

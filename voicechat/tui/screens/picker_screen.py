"""The picker screen: a search line, a list, and details of the selected item.

It shows every row of `picker_table.PICKERS`; function keys switch between them. The session
continues while it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, Static

from voicechat.core.effects import Level, Notice
from voicechat.core.inputs import OfferTools
from voicechat.errors import VoicechatError
from voicechat.line_mode.pickers.picker import (
    MAX_ITEMS,
    Choose,
    PickerItem,
    PickResult,
    matching,
)
from voicechat.line_mode.pickers.picker_table import PICKERS
from voicechat.line_mode.sound_commands import with_commands
from voicechat.session.event_stream import Overflow
from voicechat.session.updates import LevelsChanged, ModeChanged, ModelChanged, SoundChanged
from voicechat.tui.safe_text import plain
from voicechat.tui.screens.screen_with_workers import ScreenWithWorkers
from voicechat.tui.themes import ThemePreviewed
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.pick_list import PickList
from voicechat.tui.widgets.text_columns import WidthText, fitting

if TYPE_CHECKING:
    from voicechat.session.session import Session

LIST_S = 8.0
"""Seconds to collect the items."""
FRAME_S = 1 / 15
"""Seconds between two paints."""

TAB_KEYS = {
    "models": "f2",
    "voices": "f3",
    "devices": "f4",
    "themes": "f5",
    "tools": "f6",
    "settings": "f10",
}
"""The key of each picker, in all of them."""
_SHORT = {"devices": "Devices", "tools": "Tools"}
"""Titles of tabs that are shorter than those of the pickers."""
_RELOADS = (SoundChanged, ModelChanged, ModeChanged, OfferTools)
"""Events after which the items may differ."""
_UPDATES = {*_RELOADS, Notice, LevelsChanged}
_SIGNS = {Level.INFO: "", Level.WARNING: "▲ ", Level.ERROR: "✗ "}
_STYLES = {Level.INFO: "", Level.WARNING: "bold $warning", Level.ERROR: "bold $error"}


class SearchInput(Input):
    """The search line. It leaves Space to the screen while that has an action for it."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Return True for a key that is typed."""
        if key == "space" and self.screen.check_action("more", ()):
            return False
        return super().check_consume_key(key, character)


class PickerScreen(ScreenWithWorkers, ModalScreen[None]):
    """A modal screen with one picker at a time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close"),
        Binding("up", "move(-1)"),
        Binding("down", "move(1)"),
        Binding("pageup", "page(-1)"),
        Binding("pagedown", "page(1)"),
        Binding("enter", "choose"),
        Binding("space", "more", priority=True),
        Binding("f8", "save", "Save"),
        *(Binding(key, f"tab('{name}')") for name, key in TAB_KEYS.items()),
    ]
    AUTO_FOCUS = "#picker-search"

    def __init__(self, session: Session, name: str, selected: str = "") -> None:
        super().__init__()
        self._session = session
        self._picker = PICKERS[name]
        self._selected = selected
        self._items: Sequence[PickerItem] | None = None
        """The items; None until they are collected."""
        self._edited: PickerItem | None = None
        """The item whose text is being edited."""
        self._updates = session.subscribe(
            "picker", limit=256, overflow=Overflow.COALESCE, wants=_UPDATES
        )

    def compose(self) -> ComposeResult:
        """Yield the search line, the list and the details in a titled border."""
        with Vertical(id="picker"):
            yield Static("", markup=False, id="picker-tabs")
            search = SearchInput(id="picker-search", compact=True, select_on_focus=False)
            search.cursor_blink = False
            yield search
            with Container(id="picker-body"):
                yield PickList()
                yield Static("", markup=False, id="picker-details")
            yield Static("", markup=False, id="picker-message")
            yield Static("", markup=False, id="picker-keys")

    def on_mount(self) -> None:
        """Collect the items, and follow the session."""
        self.show_picker(self._picker.name, self._selected)
        self._follow()

    def on_unmount(self) -> None:
        """Stop to follow the session."""
        self._updates.close()

    # ----------------------------------------------------------------- showing

    def show_picker(self, name: str, selected: str = "") -> None:
        """Show another picker, with the item whose key begins with `selected`."""
        self._end_preview()
        self._picker, self._selected, self._edited = PICKERS[name], selected, None
        self._items = None
        if not self.query(PickList):
            return  # `on_mount` shows it
        self.query_one("#picker").border_title = Content(self._picker.title)
        self.query_one("#picker-tabs", Static).update(WidthText(self._tabs))
        self._say("")
        self._prepare_search()
        self.query_one(PickList).show((), empty="Looking …")
        self.reload()

    def _prepare_search(self, text: str = "", hint: str = "Type to search") -> None:
        search = self.query_one("#picker-search", Input)
        search.placeholder = hint
        search.value = text
        search.cursor_position = len(text)

    @work(group="items", exclusive=True)
    async def reload(self) -> None:
        """Collect the items again, in a thread."""
        picker = self._picker
        try:
            async with asyncio.timeout(LIST_S):
                items = await asyncio.to_thread(picker.items, self._session)
        except VoicechatError as error:
            items = []
            self._say(str(error), Level.WARNING)
        except TimeoutError:
            items = []
            self._say("The list did not arrive in time. Try again.", Level.WARNING)
        if picker is self._picker:
            self._items = items[:MAX_ITEMS]
            self._filter()

    def _filter(self) -> None:
        if self._items is None:
            return
        found = list(self._items)
        if self._edited is None:
            found = matching(self._items, self.query_one("#picker-search", Input).value)
        pick_list = self.query_one(PickList)
        selected = pick_list.selected.key if pick_list.selected else ""
        if self._selected:
            selected = self._first_wanted(found)
            self._selected = ""
        empty = "Nothing matches." if self._items else self._picker.empty
        pick_list.show(found, selected, empty)
        self._show_levels()

    def _first_wanted(self, items: Sequence[PickerItem]) -> str:
        """Return the key of the item to select first: the one in use, of those that are wanted."""
        wanted = [item for item in items if item.key.startswith(self._selected)]
        current = [item.key for item in wanted if item.is_current]
        return (current or [item.key for item in wanted] or [""])[0]

    def _tabs(self, width: int) -> Content:
        """Return the tabs; in a narrow terminal, only the open one has its title."""
        tabs = self._tab_line(all_titles=True)
        return tabs if tabs.cell_length <= width else self._tab_line(all_titles=False)

    def _tab_line(self, *, all_titles: bool) -> Content:
        tabs = []
        for name, key in TAB_KEYS.items():
            if not PICKERS[name].available(self._session):
                continue
            is_open = name == self._picker.name
            title = _SHORT.get(name, PICKERS[name].title)
            style = "bold $primary" if is_open else QUIET
            shown = f" {title}" if all_titles else ""
            tab = Content.assemble(
                (key.upper(), "bold $footer-key-foreground"),
                (f" [{title}]" if is_open else shown, style),
            )
            tabs.append(tab.stylize(Style.from_meta({"tab": name})))
        return Content("  ").join(tabs)

    def _show_levels(self) -> None:
        session = self._session
        state = ""
        if session.muted:
            state = "muted"
        elif not (session.hands_free or session.talking):
            state = "closed"
        self.query_one(PickList).show_levels(session.loudness, state)

    def _say(self, text: str, level: Level = Level.INFO) -> None:
        message = self.query_one("#picker-message", Static)
        message.set_class(not text, "-empty")
        message.update(
            Content.assemble((_SIGNS[level], _STYLES[level]), plain(" ".join(text.split())))
        )

    @on(PickList.Moved)
    def _moved(self, message: PickList.Moved) -> None:
        item = message.item
        if item is not None and (self._items is None or item not in self._items):
            return  # of the picker that was shown before
        details = self.query_one("#picker-details", Static)
        facts = item.details() if item is not None else ()
        details.set_class(not facts, "-empty")
        lines = [
            Content.assemble((f"{name}: ", QUIET), plain(" ".join(text.split())))
            for name, text in facts
        ]
        details.update(Content("\n").join(lines))
        self._show_keys(item)
        if self._picker.previews_theme and item is not None:
            self.post_message(ThemePreviewed(item.key))

    def _show_keys(self, item: PickerItem | None) -> None:
        keys = []
        if self._edited is not None:
            keys = [("Enter", "changes it"), ("Esc", "does not")]
        else:
            keys += [("Enter", item.enter)] if item is not None and item.enter else []
            keys += [("Space", item.space)] if item is not None and item.space else []
            keys += [("F8", "saves changed settings")] if self._has_unsaved else []
            keys += [("Esc", "closes")]
        parts = [
            Content.assemble((key, "bold $footer-key-foreground"), (f" {text}", QUIET))
            for key, text in keys
        ]
        line = WidthText(lambda width: fitting(parts, "  ", width))
        self.query_one("#picker-keys", Static).update(line)

    @property
    def _has_unsaved(self) -> bool:
        return bool(self._session.settings.unsaved)

    # ----------------------------------------------------------------- the session

    @work(group="follow")
    async def _follow(self) -> None:
        while await self._updates.wait():
            updates = self._updates.pop_all()
            for update in updates:
                if isinstance(update, Notice):
                    self._say(f"{update.text} {with_commands(update.hint)}", update.level)
            if any(isinstance(update, _RELOADS) for update in updates):
                self.reload()
            if self.is_mounted and self.query(PickList):
                self._show_levels()
                self._show_keys(self.query_one(PickList).selected)
            await asyncio.sleep(FRAME_S)

    # ----------------------------------------------------------------- actions of the user

    @on(Input.Changed)
    def _search_changed(self) -> None:
        if self._edited is None:
            self._filter()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for Space where it has no effect on the selected item: it is typed."""
        if action == "more":
            item = self.query_one(PickList).selected if self.query(PickList) else None
            return self._edited is None and item is not None and bool(item.space)
        return True

    def action_move(self, by: int) -> None:
        """Select another item."""
        if self._edited is None:
            self.query_one(PickList).move(by)

    def action_page(self, by: int) -> None:
        """Select an item a page away."""
        if self._edited is None:
            self.query_one(PickList).page(by)

    def action_tab(self, name: str) -> None:
        """Show another picker, if it makes sense in this session."""
        if PICKERS[name].available(self._session):
            self.show_picker(name)
        else:
            self._say("This conversation has no sound. Start without --text.", Level.WARNING)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        """Act after all letters that were typed before Enter."""
        self.action_choose()

    def action_choose(self) -> None:
        """Act on the selected item, or take the edited text."""
        item = self._edited or self.query_one(PickList).selected
        if self._edited is not None:
            text = self.query_one("#picker-search", Input).value
            self._act(lambda session, edited: self._picker.enter_text(session, edited, text), item)
        else:
            self._act(self._picker.choose, item)

    def action_more(self) -> None:
        """Do the other action of the selected item."""
        self._act(self._picker.more, self.query_one(PickList).selected)

    def action_save(self) -> None:
        """Write the changed settings into the settings file."""
        self._session.save_settings()

    def action_leave(self) -> None:
        """End the edit, or close the screen."""
        if self._edited is not None:
            self._end_edit()
        else:
            self._close()

    @on(PickList.Clicked)
    def _item_clicked(self, message: PickList.Clicked) -> None:
        self._act(self._picker.choose, message.item)

    def on_click(self, event: Click) -> None:
        """Show the picker of the clicked tab."""
        name = event.style.meta.get("tab")
        if isinstance(name, str):
            self.action_tab(name)

    def _act(self, act: Choose, item: PickerItem | None) -> None:
        """Act on an item and show the result. An error leaves everything as it is."""
        if item is None:
            return
        try:
            result = act(self._session, item)
        except VoicechatError as error:
            self._say(str(error), Level.WARNING)
            return
        self._show_result(result, item)

    def _show_result(self, result: PickResult, item: PickerItem) -> None:
        if result.opens:
            self.show_picker(result.opens)
        elif result.edits is not None:
            self._edited = item
            self._say("")
            self._prepare_search(result.edits, f"{item.label}: empty means the default")
            self._show_keys(item)
        elif result.closes:
            self._close(result.text)
        else:
            self._end_edit()
            self._say(result.text)
            self.reload()

    def _end_edit(self) -> None:
        if self._edited is not None:
            self._edited = None
            self._prepare_search()
            self._filter()
            self._show_keys(self.query_one(PickList).selected)

    def _end_preview(self) -> None:
        if self._picker.previews_theme:
            self.post_message(ThemePreviewed(""))

    def _close(self, reply: str = "") -> None:
        """Close the screen; the reply is shown in the conversation."""
        if not reply:
            self._end_preview()
        self.dismiss()
        if reply:
            self.app.notify(reply, markup=False)

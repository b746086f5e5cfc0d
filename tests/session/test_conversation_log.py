"""Sessions in the history: kept as they happen, and continued."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import TOKEN, ScriptedServer, scripted_server, until
from session_driver import SessionDriver, online, options
from two_providers import answered, heard
from usage_rows import usage_rows

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState, Transcript
from voicechat.core.pictures import Kind, Picture
from voicechat.errors import Secret, UsageError
from voicechat.history import database, history_calls
from voicechat.history.history_rows import TOOL, ConversationRow, ItemRow
from voicechat.history.history_writer import HistoryWriter
from voicechat.history.stored_conversation import StoredConversation
from voicechat.history.usage_ledger import UsageLedger
from voicechat.server.engine_protocols import AssistantRequest, Say
from voicechat.session import title_request
from voicechat.session.conversation_log import ConversationLog, first_words
from voicechat.session.event_stream import EventStream
from voicechat.session.session import Session


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history of its own for each test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "voicechat" / "history.db"


def echo(request: AssistantRequest) -> list[Say]:
    return [Say(f"You said {request.messages[-1].text}.")]


@asynccontextmanager
async def kept(
    backend: ScriptedServer, stored: StoredConversation | None = None
) -> AsyncIterator[SessionDriver]:
    backend.assistant.answer = echo
    session = Session(
        options(backend.app.url), keeps_history=True, stored=stored, open_ledger=UsageLedger
    )
    async with online(SessionDriver(session)) as driver:
        yield driver


async def saved(driver: SessionDriver) -> StoredConversation:
    """Return the current conversation as it is on disk."""
    log = driver.session.history
    assert log is not None
    log.flush()
    assert await asyncio.to_thread(log.wait_saved)
    return history_calls.load(log.conversation_id)


def contents(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def spoil(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no history " * 100)


def words(stored: StoredConversation) -> list[tuple[str, str]]:
    return [(item.role, item.shown) for item in stored.items]


# ----------------------------------------------------------------------- keeping


async def test_turns_usage_model_and_title_are_kept_while_the_session_runs(state: Path) -> None:
    async with scripted_server() as backend, kept(backend) as driver:
        await answered(driver, "one two")
        stored = await saved(driver)
        assert words(stored) == [("user", "one two"), ("assistant", "You said one two.")]
        assert [item.status for item in stored.items] == ["completed", "completed"]
        assert (stored.row.title, stored.row.turns) == ("one two", 1)
        assert stored.row.model == driver.session.model
        assert stored.row.fields["settings"]["mode"] == "text"  # type: ignore[index]
    with closing(database.connect(state)) as connection:
        rows = connection.execute("SELECT * FROM responses").fetchall()
    assert [row["kind"] for row in rows] == ["response"]
    assert rows[0]["conversation_id"] == stored.row.id
    assert rows[0]["total_tokens"] == driver.session.usage.total_tokens > 0


async def test_a_model_writes_the_title_once_when_it_is_idle(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(title_request, "IDLE_S", 0.05)

    def answer(request: AssistantRequest) -> list[Say]:
        asks = request.own_instructions == title_request.PROMPT
        return [Say('"A trip to\x1b Oslo."')] if asks else echo(request)

    async with scripted_server() as backend:
        backend.assistant.answer = answer
        given = replace(options(backend.app.url), history_titles="model")
        session = Session(given, keeps_history=True, open_ledger=UsageLedger)
        async with online(SessionDriver(session)) as driver:
            await answered(driver, "one two")
            log = session.history
            assert log is not None
            await until(lambda: log.has_own_title)
            await answered(driver, "three")
            stored = await saved(driver)
        assert len(backend.assistant.requests) == 3
    assert (stored.row.title, stored.row.turns) == ("A trip to\ufffd Oslo", 2)
    assert len(words(stored)) == 4
    kinds = [row["kind"] for row in usage_rows()]
    assert sorted(kinds) == ["other", "response", "response"]


async def test_a_key_in_a_message_is_masked_in_the_history(state: Path) -> None:
    async with scripted_server() as backend, kept(backend) as driver:
        driver.session.type(f"my key is {TOKEN}")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        stored = await saved(driver)
    assert words(stored)[0] == ("user", "my key is ***")
    assert TOKEN.encode() not in contents(state)


async def test_a_new_conversation_files_the_old_one_away(state: Path) -> None:
    async with scripted_server() as backend, kept(backend) as driver:
        await answered(driver, "first")
        before = driver.session.conversation_id
        driver.session.new_conversation()
        await answered(driver, "second")
        await saved(driver)
        assert driver.session.conversation_id != before
    assert [each.conversation.title for each in history_calls.find("")] == ["second", "first"]


async def test_a_deleted_exchange_leaves_the_history(state: Path) -> None:
    async with scripted_server() as backend, kept(backend) as driver:
        await answered(driver, "first")
        await answered(driver, "second")
        driver.session.forget_last()
        assert words(await saved(driver)) == [("user", "first"), ("assistant", "You said first.")]


async def test_a_session_without_turns_or_without_history_writes_no_file(state: Path) -> None:
    async with scripted_server() as backend:
        async with kept(backend):
            pass
        async with online(SessionDriver(Session(options(backend.app.url)))) as driver:
            backend.assistant.answer = echo
            await answered(driver, "one")
            assert driver.session.conversation_id == ""
    assert contents(state) == b""


async def test_an_unusable_history_costs_one_notice_and_nothing_else(state: Path) -> None:
    spoil(state)
    async with scripted_server() as backend, kept(backend) as driver:
        for text in ("one", "two"):
            await answered(driver, text)
            log = driver.session.history
            assert log is not None
            log.flush()
            await asyncio.to_thread(log.wait_saved)
        await answered(driver, "three")
        notices = [u.text for u in driver.updates if isinstance(u, effects.Notice)]
    reason = "the file is damaged or not a history"
    assert notices.count(f"This conversation is not kept in the history: {reason}.") == 1
    assert sum("history" in text for text in notices) == 1


# ----------------------------------------------------------------------- continuing


async def test_a_conversation_continues_in_another_session(state: Path) -> None:
    async with scripted_server() as backend:
        async with kept(backend) as driver:
            await answered(driver, "one")
        async with kept(backend, history_calls.load()) as driver:
            assert driver.texts(Role.ASSISTANT) == ["You said one."]
            await answered(driver, "two")
            assert heard(backend) == ["one", "You said one.", "two"]
            stored = await saved(driver)
    assert [text for _, text in words(stored)] == ["one", "You said one.", "two", "You said two."]
    assert len(history_calls.find("")) == 1


async def test_a_conversation_that_is_open_in_another_program_is_forked(state: Path) -> None:
    async with scripted_server() as backend:
        async with kept(backend) as driver:
            await answered(driver, "one")
            original = await saved(driver)
        with held_elsewhere(original.row.id):
            async with kept(backend, history_calls.load()) as driver:
                text = '"one" is open in another voicechat. This is a fork of it.'
                hint = "The conversation there goes on without it."
                await driver.until(lambda: effects.Notice(text, hint=hint) in driver.updates)
                await answered(driver, "two")
                fork = await saved(driver)
            with pytest.raises(UsageError, match="open in another voicechat"):
                history_calls.hide(original.row.id, True)
        assert fork.row.parent_id == original.row.id
        assert words(history_calls.load(original.row.id)) == words(original)
        async with kept(backend, history_calls.load(original.row.id)) as driver:
            await answered(driver, "three")
            assert (await saved(driver)).row.id == original.row.id, "free after the kill"
            with pytest.raises(UsageError, match="open in another voicechat"):
                await asyncio.to_thread(deleted_elsewhere, original.row.id)


def deleted_elsewhere(conversation_id: str) -> None:
    """Delete a conversation in another process. Raises `UsageError` with its error message."""
    program = [sys.executable, "-m", "voicechat", "history", "delete", conversation_id]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise UsageError(done.stderr)


@contextmanager
def held_elsewhere(conversation_id: str) -> Iterator[None]:
    """Let another process have a conversation open, and kill it at the end."""
    code = "import sys; from voicechat.history.open_conversations import claim"
    code += "; print(claim(sys.argv[1]), flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    program = [sys.executable, "-c", code, conversation_id]
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        try:
            yield
        finally:
            other.kill()


async def test_a_fork_begins_with_the_turns_before_and_leaves_its_parent(state: Path) -> None:
    async with scripted_server() as backend, kept(backend) as driver:
        for text in ("one", "two"):
            await answered(driver, text)
        parent = await saved(driver)
        driver.session.continue_conversation(parent.until(1))
        await answered(driver, "three")
        assert heard(backend) == ["one", "You said one.", "three"]
        fork = await saved(driver)
    assert [text for _, text in words(fork)] == ["one", "You said one.", "three", "You said three."]
    assert fork.row.parent_id == parent.row.id
    assert words(history_calls.load(parent.row.id)) == words(parent)


async def test_a_picture_that_is_not_kept_is_told_of(state: Path) -> None:
    picture = ItemRow(
        "abc", "1", 1.0, 1.0, "user", "look", "completed",
        picture='{"kind": "png", "width": 3, "height": 2, "name": "cat.png"}',
    )  # fmt: skip
    stored = StoredConversation(ConversationRow("abc", "look"), (picture,))
    async with scripted_server() as backend, kept(backend, stored) as driver:
        await answered(driver, "one")
        notices = [u.text for u in driver.updates if isinstance(u, effects.Notice)]
        assert "cat.png" in heard(backend)[0]
    assert "An image cannot be sent to the model again." in notices


def test_a_model_without_text_tells_that_it_does_not_know_the_conversation() -> None:
    row = ItemRow("abc", "1", 1.0, 1.0, "user", "hi", "completed")
    stored = StoredConversation(ConversationRow("abc", "hi"), (row,))
    model = Options(
        model="openai/gpt-realtime-translate",
        with_sound=True,
        keys={"OPENAI_API_KEY": Secret("planted-key")},
    )
    session = Session(model)
    told = session.subscribe(
        "test",
        limit=99,
        overflow="drop oldest",
        wants=(effects.Notice,),  # type: ignore[arg-type]
    )
    session._report_continued(stored)
    texts = [event.text for event in told.pop_all() if isinstance(event, effects.Notice)]
    assert texts[-1].endswith("takes no text, so it does not know the conversation so far.")


# ----------------------------------------------------------------------- rows


class Talk:
    """A session of which the log reads only these."""

    model, voice, instructions, speaking_rate, with_sound = "openai/x", "", "", 1.0, True

    def __init__(self) -> None:
        self.transcript = Transcript()


@pytest.fixture
def talk(state: Path) -> tuple[Talk, EventStream, HistoryWriter, ConversationLog]:
    session, stream, writer = Talk(), EventStream(), HistoryWriter(state)
    log = ConversationLog(session, stream, writer)  # type: ignore[arg-type]
    return session, stream, writer, log


Parts = tuple[Talk, EventStream, HistoryWriter, ConversationLog]


def after_change(parts: Parts, *entries: Item | ToolCall) -> StoredConversation:
    _, stream, writer, log = parts
    for entry in entries:
        key = entry.item_id if isinstance(entry, Item) else entry.call_id
        stream.publish(effects.EntryChanged(key), 0.0)
    log.flush()
    assert writer.wait_saved(10.0)
    return history_calls.load(log.conversation_id)


def test_what_was_heard_and_what_was_cut_is_kept(talk: Parts) -> None:
    reply = Item("r", Role.ASSISTANT, "One two", spoken=True, heard_chars=3, heard_ms=400.0)
    talk[0].transcript.add(reply)
    assert after_change(talk, reply).items[0].status == "in_progress"
    reply.text, reply.status = "One two three", ItemStatus.INTERRUPTED
    [row] = after_change(talk, reply).items
    assert (row.shown, row.unheard, row.status) == ("One", " two three", "interrupted")


def test_a_tool_call_and_a_picture_are_kept(talk: Parts) -> None:
    call = ToolCall("c", "i", "r", "look", '{"at": 1}', ToolState.DONE, "a cat", elapsed_ms=5.0)
    sent = Item("p", Role.USER, "see", picture=Picture(Kind.PNG, 3, 2, "cat.png", b"data"))
    for entry in (call, sent):
        talk[0].transcript.add(entry)
    stored = after_change(talk, call, sent)
    kept_call, kept_picture = stored.items
    assert (kept_call.role, kept_call.name, kept_call.output) == (TOOL, "look", "a cat")
    assert b"data" not in (kept_picture.picture or "").encode()
    entry = stored.transcript().entries[1]
    assert isinstance(entry, Item)
    assert entry.picture == replace(sent.picture, data=b"")  # type: ignore[type-var]


def test_an_item_between_two_others_keeps_its_place(talk: Parts) -> None:
    entries = [Item(name, Role.USER, name, ItemStatus.COMPLETED) for name in "ad"]
    for entry in entries:
        talk[0].transcript.add(entry)
    after_change(talk, *entries)
    for name in ("c", "b"):
        entry = Item(name, Role.USER, name, ItemStatus.COMPLETED)
        talk[0].transcript.add(entry, after="a")
        after_change(talk, entry)
    stored = after_change(talk, *entries)
    assert [item.text for item in stored.items] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("short", "short"),
        ("two\n\nlines ", "two lines"),
        ("word " * 30, f"{'word ' * 10}word…"),
        ("x" * 100, f"{'x' * 59}…"),
    ],
    ids=["short", "lines", "words", "one word"],
)
def test_a_title_is_the_first_words(text: str, title: str) -> None:
    assert first_words(text) == title

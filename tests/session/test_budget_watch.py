"""Budgets of real sessions: what stops at the limit, what goes on, and who shares it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_openai import grok, openai
from fake_wires import gemini, running
from scripted import TOKEN, scripted_server
from session_driver import SessionDriver, online, options
from two_providers import answered

from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.options import Options
from voicechat.core import effects, events, inputs
from voicechat.core.items import Role, Usage
from voicechat.core.price import Price
from voicechat.errors import BudgetSpent, Secret, UsageError
from voicechat.history.database import HistoryUnusable
from voicechat.history.history_rows import ResponseRow
from voicechat.history.usage_ledger import UsageLedger
from voicechat.line_mode.slash_commands import run_command
from voicechat.session.budget_watch import BudgetWatch
from voicechat.session.costs import CostTally
from voicechat.session.session import Session
from voicechat.session.updates import Link

NOON = 1_700_000_000.0
DAY_S = 24 * 3600
MODEL = "openai/gpt-realtime"
MILLION = Usage(total_tokens=10**6, input_tokens=10**6)


def notices(driver: SessionDriver) -> list[str]:
    return [update.text for update in driver.updates if isinstance(update, effects.Notice)]


class Wallet:
    """A watch with a clock of its own; `told` are its notices."""

    def __init__(self, path: Path | None, own: Price | None = None, **limits: float) -> None:
        self.now = NOON
        self.told: list[str] = []
        self.costs = CostTally({MODEL: own} if own else {})
        self.watch = BudgetWatch(
            BudgetSettings(**limits),  # type: ignore[arg-type]
            self.costs,
            lambda notice: self.told.append(notice.text),
            (lambda: UsageLedger(path)) if path is not None else None,
            lambda: self.now,
        )

    async def spend(self, model: str = MODEL, source: str = "response") -> bool:
        self.costs.add(model, source, MILLION)
        self.watch.add(model, source, MILLION)
        return await self.watch.check(writes=True)


# ----------------------------------------------------------------------- counting


async def test_two_sessions_share_the_budget_of_a_day(tmp_path: Path) -> None:
    own = Price(text_in=1.0)
    one, other = (Wallet(tmp_path / "h.db", own, day=2.0) for _ in range(2))
    assert not await one.spend()
    assert await other.spend()
    assert await one.watch.check()
    one.now += DAY_S
    assert not await one.watch.check()
    for each in (one, other):
        await each.watch.close()


async def test_a_month_lasts_longer_than_a_day(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "h.db", Price(text_in=1.0), month=2.0)
    await wallet.spend()
    wallet.now += DAY_S
    assert await wallet.spend()
    wallet.now += 40 * DAY_S
    assert not await wallet.watch.check()
    await wallet.watch.close()


@pytest.mark.parametrize("source", ["response", "transcription", "delegation"])
async def test_an_unknown_price_counts_as_the_settings_say(source: str) -> None:
    model = "some/model" if source == "response" else MODEL
    wallet = Wallet(None, session=7.0, unknown_price=7.0)
    assert await wallet.spend(model, source)
    assert "is unknown. The budget counts $7 per million tokens." in wallet.told[0]
    assert len([text for text in wallet.told if "unknown" in text]) == 1


async def test_the_embedded_voice_spends_nothing(tmp_path: Path) -> None:
    wallet = Wallet(tmp_path / "h.db", session_tokens=1, session=0.01)
    assert not await wallet.spend("local/built-in")
    assert not (tmp_path / "h.db").exists()


async def test_a_chat_server_elsewhere_is_not_free() -> None:
    wallet = Wallet(None, session=1.0)
    wallet.watch._costs = wallet.costs = CostTally({}, "https://chat.example/v1")
    assert await wallet.spend("local/built-in")


async def test_a_ledger_that_fails_is_told_once_and_the_session_still_counts() -> None:
    class Full:
        def settle(self, *arguments: object) -> Any:
            raise HistoryUnusable("The history cannot be used: no space left on device.")

        def latencies(self) -> Any: ...

        def close(self) -> None: ...

    wallet = Wallet(None, Price(text_in=1.0), day=2.0)
    wallet.watch._open_ledger = Full
    assert not await wallet.spend()
    assert await wallet.spend()
    (told,) = (text for text in wallet.told if "space" in text)
    assert told == (
        "The usage is not kept. The history cannot be used: no space left on device."
        " The budget counts this session only."
    )


# ----------------------------------------------------------------------- a session


def budgeted(url: str, **limits: float) -> Options:
    return replace(options(url), spending=BudgetSettings(**limits))  # type: ignore[arg-type]


async def test_a_session_stops_at_the_limit_and_goes_on_when_more_is_allowed() -> None:
    async with scripted_server() as backend:
        driver = SessionDriver(Session(budgeted(backend.app.url, session_tokens=45)))
        driver.session.outlives_connections = True
        async with online(driver):
            await answered(driver, "one")
            assert run_command(driver.session, "/usage")
            await answered(driver, "two")
            await driver.until(lambda: driver.session.link is Link.OFFLINE)
            assert driver.session.budget_used_up
            driver.session.type("three")
            await driver.until(lambda: len([n for n in notices(driver) if "used up" in n]) == 2)
            assert len(backend.assistant.requests) == 2
            allowed = run_command(driver.session, "/continue")
            assert allowed is not None
            assert allowed.startswith("Allowed 9 tokens more for this session, ")
            await driver.until(lambda: "You said three." in driver.texts(Role.ASSISTANT))
            await driver.until(lambda: driver.session.link is Link.OFFLINE)
    assert driver.texts(Role.USER) == ["one", "two", "three"]


async def test_only_the_user_allows_more() -> None:
    session = Session(Options(with_sound=False, model="local"))
    with pytest.raises(UsageError, match="No budget is used up"):
        run_command(session, "/continue")
    with pytest.raises(UsageError, match="needs a user"):
        run_command(session, "/continue", by_user=False)


async def test_without_a_user_the_session_ends_when_a_response_is_due() -> None:
    async with scripted_server() as backend:
        driver = SessionDriver(Session(budgeted(backend.app.url, session_tokens=30)))
        running = asyncio.create_task(driver.session.run())
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        await answered(driver, "one")
        await driver.until(lambda: driver.session.budget_used_up)
        assert not running.done()
        driver.session.type("two")
        with pytest.raises(BudgetSpent) as caught:
            await running
        assert caught.value.exit_code == 8
        assert len(backend.assistant.requests) == 1


WIRES: list[tuple[Callable[..., Any], str, str]] = [
    (openai, "openai/gpt-realtime-2.1", "OPENAI_API_KEY"),
    (gemini, "google/gemini-3.8-live", "GEMINI_API_KEY"),
    (grok, "xai/grok-voice-latest", "XAI_API_KEY"),
]


@pytest.mark.parametrize(("serve", "model", "key"), WIRES, ids=[model for _, model, _ in WIRES])
async def test_hands_free_no_provider_is_left_that_could_answer_by_itself(
    serve: Callable[..., Any], model: str, key: str
) -> None:
    async with running(serve) as fake:
        driver = SessionDriver(Session(Options(
            model=model, with_sound=False, base_url=f"http://127.0.0.1:{fake.port}",
            keys={key: Secret("planted-key")}, spending=BudgetSettings(session_tokens=1),
        )))  # fmt: skip
        driver.session.outlives_connections = True
        async with online(driver):
            driver.session._handle(inputs.HandsFree(True))
            await answered(driver, "hello")
            driver.session._handle(events.UsageReported(Usage(total_tokens=1)))
            await driver.until(lambda: driver.session.link is Link.OFFLINE)
            assert driver.session._connections.connection is None
            driver.session._handle(inputs.Talk(True))
            assert not driver.session.talking


async def test_a_session_that_begins_over_the_budget_does_not_connect(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "h.db")
    ledger.settle([ResponseRow("", "", NOON, MODEL, MILLION, 5.0)], {}, Price())
    ledger.close()
    async with scripted_server() as backend:
        session = Session(
            budgeted(backend.app.url, day=1.0), open_ledger=lambda: UsageLedger(tmp_path / "h.db")
        )
        session._budget._clock = lambda: NOON
        with pytest.raises(BudgetSpent, match=r"budget of \$1\.00 for today is used up: \$5\.00"):
            await session.run()


async def test_connection_time_counts_for_the_model_that_was_connected() -> None:
    async with running(grok) as fake, scripted_server() as backend:
        driver = SessionDriver(Session(Options(
            model="xai/grok-voice-latest", with_sound=False,
            base_url=f"http://127.0.0.1:{fake.port}",
            keys={"XAI_API_KEY": Secret("planted-key"), "OPENAI_API_KEY": Secret(TOKEN)},
            variables={"OPENAI_BASE_URL": backend.app.url.removesuffix("/realtime")},
        )))  # fmt: skip
        async with online(driver):
            driver.session.change_model(MODEL)
            await answered(driver, "one")
        used = {model: usage.seconds for (model, _), usage in driver.session._costs.used.items()}
        assert used["xai/grok-voice-latest"] > 0
        assert used[MODEL] == 0


# ----------------------------------------------------------------------- two programs


async def test_two_programs_that_talk_at_once_keep_one_budget(tmp_path: Path) -> None:
    limit = 400
    config = tmp_path / "config" / "voicechat"
    config.mkdir(parents=True)
    (config / "config.toml").write_text(f"[budget]\nday_tokens = {limit}\n")
    async with scripted_server() as backend:
        environ = os.environ | {
            "XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path),
            "OPENAI_API_KEY": TOKEN, "OPENAI_BASE_URL": backend.app.url.removesuffix("/realtime"),
        }  # fmt: skip
        programs = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "voicechat", "--text", "--model", MODEL,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, env=environ,
            )
            for _ in range(2)
        ]  # fmt: skip
        lines = "".join(f"line {number}\n" for number in range(20)).encode()
        try:
            async with asyncio.timeout(50):
                ends = await asyncio.gather(*(each.communicate(lines) for each in programs))
        finally:
            for each in programs:
                if each.returncode is None:
                    each.kill()
    assert [each.returncode for each in programs] == [8, 8], ends
    assert all(b"budget of 400 tokens for today is used up" in errors for _, errors in ends)
    with closing(sqlite3.connect(tmp_path / "voicechat" / "history.db")) as history:
        spent = [
            t for (t,) in history.execute("SELECT total_tokens FROM responses ORDER BY number")
        ]
    assert sum(spent) >= limit
    assert sum(spent[:-2]) < limit, "each program may end the response that is running"
    assert len(spent) == len(backend.assistant.requests)

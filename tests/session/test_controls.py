"""Session actions besides talking, with real servers over real sockets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from following import follow
from scripted import scripted_server
from session_driver import SessionDriver, options, running_session
from two_providers import answered, heard, two_providers

from voicechat.config.options import Options
from voicechat.core import commands, effects, events, inputs
from voicechat.core.items import Role, Usage
from voicechat.core.price import Price, dollars
from voicechat.errors import KeyMissing, Secret, SessionLost, UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.server.engine_protocols import AssistantRequest, Say
from voicechat.session.controls import SUMMARY
from voicechat.session.costs import CostTally
from voicechat.session.session import Session
from voicechat.session.updates import Link, Report


def summing_up(request: AssistantRequest) -> list[Say]:
    if request.instructions == SUMMARY:
        return [Say("Little was said.")]
    return [Say(f"You said {request.messages[-1].text}.")]


def notices(driver: SessionDriver) -> list[str]:
    return [update.text for update in driver.updates if isinstance(update, effects.Notice)]


# ----------------------------------------------------------------------- out of band


async def test_a_summary_is_published_and_not_kept() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.answer = summing_up
        await answered(driver, "one")
        assert run_command(driver.session, "/summary") is None
        assert driver.session.pending
        await driver.until(lambda: not driver.session.pending)
        assert Report("Summary", "Little was said.") in driver.updates
        assert heard(backend) == ["one", "You said one."]
        await answered(driver, "two")
        assert heard(backend) == ["one", "You said one.", "two"]
        assert driver.texts(Role.ASSISTANT) == ["You said one.", "You said two."]


async def test_a_failed_summary_is_one_sentence() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        for connection in list(backend.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        driver.session.summarize()
        await driver.until(lambda: not driver.session.pending)
        assert notices(driver)[-1] == "Could not summarize: there is no connection."


# ----------------------------------------------------------------------- the transcript


async def test_the_last_exchange_is_deleted() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        await answered(driver, "one")
        await answered(driver, "two")
        assert run_command(driver.session, "/forget") == "Deleted the last exchange."
        assert driver.texts(Role.USER) == ["one"]
        await answered(driver, "three")
        assert heard(backend) == ["one", "You said one.", "three"]


async def test_a_message_is_inserted_and_an_item_fetched() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        item_id = driver.session.insert(Role.SYSTEM, "The user's name is Ada.")
        await answered(driver, "one")
        assert heard(backend) == ["The user's name is Ada.", "one"]
        item = await driver.session.fetch(item_id)
        assert item["role"] == "system"
        with pytest.raises(SessionLost, match="nothing-like-it"):
            await driver.session.fetch("nothing-like-it")
        driver.session.forget(item_id)
        await answered(driver, "two")
        assert heard(backend)[0] == "one"


# ----------------------------------------------------------------------- settings


async def test_instructions_apply_from_the_next_response() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        await answered(driver, "one")
        assert (
            run_command(driver.session, "/instructions Be brief.")
            == "The instructions are changed."
        )
        await answered(driver, "two")
        assert backend.assistant.requests[-1].instructions == "Be brief."
        assert run_command(driver.session, "/instructions") == "The instructions: Be brief."
        driver.session.new_conversation()
        await answered(driver, "three")
        assert backend.assistant.requests[-1].instructions == "Be brief."


async def test_voice_and_speed_are_checked_before_the_request() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        assert run_command(driver.session, "/voice cedar") == "The voice is cedar."
        assert driver.session.voice == "cedar"
        with pytest.raises(UsageError, match="Did you mean marin"):
            run_command(driver.session, "/voice marine")
        assert "marin" in str(run_command(driver.session, "/voice"))
        assert run_command(driver.session, "/speed 1.25") == "The speed is 1.25."
        for wrong in ("fast", "0", "nan", "9"):
            with pytest.raises(UsageError, match=r"0\.25 to 1\.5"):
                run_command(driver.session, f"/speed {wrong}")
        assert run_command(driver.session, "/speed") == "The speed is 1.25 (normal: 1)."


def test_deferred_settings_are_reported() -> None:
    session = Session(options("ws://127.0.0.1:1"))
    codec = session._chosen.choice.codec()
    codec.encode(commands.UpdateSession(session._chosen.settings))
    codec._state.spoke = True  # type: ignore[attr-defined]
    session._codec = lambda: codec
    assert run_command(session, "/voice cedar") == "voice changes with the next session only."
    assert session._conversation.settings.voice == "cedar"
    google = Options(model="google/gemini-3.8-live", keys={"GEMINI_API_KEY": Secret("k")})
    session = Session(google)
    codec = session._chosen.choice.codec()
    codec.opening(session._chosen.settings)
    session._codec = lambda: codec
    assert "between two turns" in str(run_command(session, "/voice Kore"))
    assert "google has no setting speed" in str(run_command(session, "/speed 1.2"))
    codec.opening(session._chosen.settings)
    assert run_command(session, "/instructions Be brief.") == "The instructions are changed."


def test_the_instructions_and_the_speed_need_no_look_at_the_tools() -> None:
    session = Session(options("ws://127.0.0.1:1"))
    run_command(session, "/instructions Be brief.")
    session._chosen._tools = lambda: pytest.fail("asked for the tools")
    assert (session.instructions, session.speaking_rate) == ("Be brief.", 1.0)


@pytest.mark.parametrize(
    ("model", "key", "wrong", "slowest"),
    [("xai/grok-voice-latest", "XAI_API_KEY", "0.5", "0.7"), ("", "", "0.2", "0.25")],
)
def test_the_speed_range_is_the_providers(model: str, key: str, wrong: str, slowest: str) -> None:
    chosen = options("ws://127.0.0.1:1")
    if model:
        chosen = Options(model=model, keys={key: Secret("k")}, with_sound=False)
    with pytest.raises(UsageError, match=f"from {slowest} to 1.5"):
        run_command(Session(chosen), f"/speed {wrong}")


# ----------------------------------------------------------------------- another model


async def test_another_model_is_seeded_with_the_conversation() -> None:
    async with scripted_server() as backend, two_providers(backend) as driver:
        await answered(driver, "one")
        said = run_command(driver.session, "/model openai/gpt-realtime-2.1")
        assert said == "Continuing with openai/gpt-realtime-2.1."
        assert driver.session.voice == "", "it has no voice of that name"
        await answered(driver, "two")
        assert heard(backend) == ["one", "You said one.", "two"]
        used = "\n".join(driver.session.usage_report)
        assert "at prices of 2026-11-28" in used


async def test_a_provider_without_deletion_gets_a_new_session() -> None:
    async with scripted_server() as backend, two_providers(backend) as driver:
        await answered(driver, "one")
        await answered(driver, "two")
        created = driver.session._connections.sessions_created
        run_command(driver.session, "/forget")
        await driver.until(lambda: driver.session._connections.sessions_created > created)
        await answered(driver, "three")
        assert driver.texts(Role.USER) == ["one", "three"]
        run_command(driver.session, "/model openai/gpt-realtime-2.1")
        await answered(driver, "four")
        assert heard(backend) == ["one", "You said one.", "three", "You said three.", "four"]


async def test_an_unavailable_model_is_reported_and_the_previous_one_continues() -> None:
    async with scripted_server() as backend, two_providers(backend) as driver:
        await answered(driver, "one")
        with pytest.raises(KeyMissing, match=r"or use /model local, which needs none\."):
            run_command(driver.session, "/model xai/grok-voice-latest")
        with pytest.raises(UsageError):
            run_command(driver.session, "/model nobody/nothing")
        assert driver.session.model == "google/gemini-3.8-live"
        run_command(driver.session, "/model azure/mine")
        await driver.until(lambda: any("Could not use" in text for text in notices(driver)))
        assert (driver.session.model, driver.session.voice) == ("google/gemini-3.8-live", "Puck")
        await answered(driver, "two")
        assert driver.texts(Role.USER) == ["one", "two"]


@pytest.mark.sound
@pytest.mark.usefixtures("own_card")
async def test_audio_is_reopened_at_the_rates_of_the_other_model() -> None:
    async with scripted_server() as backend, two_providers(backend, with_sound=True) as driver:
        blocks: list[int] = []
        session = driver.session

        follow(session, lambda block: blocks.append(len(block.pcm)), [inputs.MicBlock])
        await driver.until(lambda: 640 in blocks)
        session.set_muted(True)
        session.change_model("openai/gpt-realtime-2.1")
        await driver.until(lambda: 960 in blocks)
        assert session.hands_free
        assert blocks == sorted(blocks), "no block of the old rate follows the new one"


def test_a_recording_cannot_change_its_model(tmp_path: object) -> None:
    session = Session(options("ws://127.0.0.1:1"))
    session._chosen.options = replace(session._chosen.options, record=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="A recording cannot change its model"):
        run_command(session, "/model openai/gpt-realtime")


async def test_a_long_conversation_is_seeded_completely() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        for number in range(400):
            driver.session.insert(Role.USER, f"line {number}")
        for connection in list(backend.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        await answered(driver, "last")
        assert len(heard(backend)) == 401


# ----------------------------------------------------------------------- usage and cost


FULL = Price(text_in=4, text_out=16, audio_out=64, dated="2026-06-22")


def used(tokens: int) -> Usage:
    return Usage(
        total_tokens=2 * tokens,
        input_tokens=tokens,
        output_tokens=tokens,
        output_audio_tokens=tokens,
    )


def test_usage_is_reported_in_full_and_costs_are_added_by_model() -> None:
    spending = CostTally({"a/b": FULL, "c/d": Price(minute=6, dated="2026-01-01")})
    assert spending.lines(()) == ["Nothing used yet."]
    spending.used["a/b", "response"] += used(1000)
    assert spending.shown_cost == "$0.068"
    spending.used["a/b", "transcription"] += used(500)
    assert spending.shown_cost == "$0.068", "transcription has no known price"
    spending.last = Usage(seconds=30)
    spending.used["c/d", "response"] += spending.last
    assert spending.shown_cost == "$3.07"
    limit = events.RateLimit("tokens", 40_000, 10_000, 2.4)
    dates = "2026-01-01 and 2026-06-22"
    assert spending.lines((limit,)) == [
        "Last answer: 30 seconds.",
        "Session: 2,000 tokens, 1,000 in, 1,000 out (1,000 sound) and 30 seconds.",
        "For transcribing your speech: 1,000 tokens, 500 in, 500 out (500 sound).",
        f"Estimated cost: about $3.07 at prices of {dates}, transcription not included.",
        "Limit of tokens: 25 % of 40,000 left, resets in 2 s.",
    ]


def test_kinds_of_tokens_add_up_and_one_second_is_singular() -> None:
    tally = CostTally({})
    tally.last = Usage(
        total_tokens=99, input_tokens=60, output_tokens=30, input_text_tokens=20,
        input_audio_tokens=30, output_text_tokens=30, seconds=1.2, paused_seconds=0.0,
    )  # fmt: skip
    tally.used["x/y", "response"] += tally.last
    assert tally.lines(())[0] == (
        "Last answer: 90 tokens, 60 in (20 text, 30 sound, 10 other), 30 out and 1 second."
    )


def test_a_price_of_zero_does_not_claim_that_the_model_runs_here() -> None:
    tally = CostTally({"x/y": Price()})
    tally.used["x/y", "response"] += used(10)
    assert tally.lines(())[-1] == "Cost: none."


def test_free_models_and_unknown_prices_are_reported() -> None:
    free = CostTally({})
    free.used["local/built-in", "response"] += used(10)
    assert free.shown_cost == ""
    assert free.lines(()) == ["No cost: local."]
    free.used["x/y", "response"] += used(10)
    assert free.total == used(10), "tokens of the embedded voice mean nothing"
    assert free.lines(())[-1].startswith("The price of x/y is unknown")


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0004, "under $0.001"), (0.0123, "$0.012"), (0.5, "$0.50"), (1234.5, "$1,234.50")],
)
def test_amounts(amount: float, text: str) -> None:
    assert dollars(amount) == text

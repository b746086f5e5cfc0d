"""Changing the model at any time: while a server starts, while a connection is dialed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fake_openai import grok, openai
from fake_wires import running
from scripted import TOKEN, scripted_server, until
from session_driver import SessionDriver, online, options
from two_providers import answered, heard, two_providers

from voicechat.config.loader import Options
from voicechat.core.items import Role, entry_id
from voicechat.errors import KeyMissing, Secret, ServerError, UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.session import reconnect
from voicechat.session.model import ChosenModel
from voicechat.session.session import Session

REMOTE = "openai/gpt-realtime-2.1"


class SlowServer:
    """An embedded server that starts, or fails to start, when `gate` opens."""

    def __init__(self, options: Options, on_progress: object, on_warning: object) -> None:
        self.running = False
        self.started, self.gate = asyncio.Event(), asyncio.Event()
        self.failure: ServerError | None = None
        made.append(self)

    async def start(self) -> tuple[str, Secret]:
        self.started.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.running = True
        return "ws://127.0.0.1:9/v1/realtime", Secret("t" * 40)

    async def stop(self) -> None:
        self.running = False


made: list[SlowServer] = []


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> ChosenModel:
    made.clear()
    monkeypatch.setattr("voicechat.session.local_server.LocalServer", SlowServer)
    keys = {"OPENAI_API_KEY": Secret(TOKEN)}
    return ChosenModel(Options(model="local/built-in", keys=keys), tuple, lambda text: None)


async def starting(chosen: ChosenModel) -> asyncio.Task[Any]:
    codec = asyncio.create_task(chosen.codec())
    await until(lambda: made)
    await made[0].started.wait()
    return codec


@pytest.mark.parametrize("failure", [None, ServerError("It ended.")], ids=["starts", "fails"])
async def test_a_model_chosen_while_the_embedded_server_starts_is_dialed(
    chosen: ChosenModel, failure: ServerError | None
) -> None:
    codec = await starting(chosen)
    chosen.change(REMOTE)
    made[0].failure = failure
    made[0].gate.set()
    assert "openai.com" in (await codec).endpoint().url
    assert "openai.com" in (await chosen.codec()).endpoint().url
    assert not made[0].running


async def test_the_embedded_server_is_started_once_and_its_failure_is_raised(
    chosen: ChosenModel,
) -> None:
    codec = await starting(chosen)
    made[0].gate.set()
    assert "127.0.0.1:9" in (await codec).endpoint().url
    assert "127.0.0.1:9" in (await chosen.codec()).endpoint().url
    assert len(made) == 1
    await chosen.stop()
    again = asyncio.create_task(chosen.codec())
    await until(lambda: len(made) == 2)
    made[1].failure = ServerError("It ended.")
    made[1].gate.set()
    with pytest.raises(ServerError, match="It ended"):
        await again


async def test_a_model_chosen_while_dialing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    dialing, gate = asyncio.Event(), asyncio.Event()
    dial = reconnect.dial

    async def slowly(*arguments: Any, **more: Any) -> Any:
        dialing.set()
        await gate.wait()
        return await dial(*arguments, **more)

    async with scripted_server() as backend, two_providers(backend) as driver:
        await answered(driver, "one")
        monkeypatch.setattr(reconnect, "dial", slowly)
        connection = driver.session._connections.connection
        assert connection is not None
        connection._socket.transport.abort()
        await dialing.wait()
        run_command(driver.session, f"/model {REMOTE}")
        gate.set()
        await answered(driver, "two")
        assert heard(backend) == ["one", "You said one.", "two"]


async def test_a_model_chosen_while_waiting_to_dial_again_is_dialed_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with scripted_server() as backend, two_providers(backend) as driver:
        await answered(driver, "one")
        monkeypatch.setattr(reconnect, "backoff", lambda *_: 3600.0)
        dial = reconnect.dial
        failed = asyncio.Event()

        async def fail(*_: Any, **more: Any) -> Any:
            monkeypatch.setattr(reconnect, "dial", dial)
            failed.set()
            raise reconnect.DialFailed("No server answers.", retry=True)

        monkeypatch.setattr(reconnect, "dial", fail)
        connection = driver.session._connections.connection
        assert connection is not None
        connection._socket.transport.abort()
        await failed.wait()
        await driver.until(lambda: any("Trying again" in str(update) for update in driver.updates))
        run_command(driver.session, f"/model {REMOTE}")
        await answered(driver, "two")


async def test_announcements_keep_distinct_ids_over_a_change_of_model() -> None:
    session = Session(options("ws://127.0.0.1:1"))
    session._announce("The tea is ready.")
    session.change_model("openai/gpt-realtime-2")
    session._announce("The eggs are ready.")
    ids = [entry_id(entry) for entry in session.transcript.entries]
    assert len(ids) == len(set(ids)) == 2
    session.forget(ids[0])
    assert [entry_id(entry) for entry in session.transcript.entries] == [ids[1]]


def voiced(name: str, **more: Any) -> Options:
    fields: dict[str, Any] = {"model": REMOTE, "keys": {"OPENAI_API_KEY": Secret(TOKEN)}}
    return Options(voice=name, **{**fields, **more})


def test_an_unknown_voice_of_a_flag_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        ChosenModel(voiced("marine", origins={"voice": "--voice"}), tuple, lambda text: None)
    assert str(caught.value) == f"--voice: {REMOTE} has no voice 'marine'. Did you mean marin?"


def test_an_unknown_voice_of_the_embedded_server_is_an_error() -> None:
    options = Options(model="local", voice="bogus", origins={"voice": "--voice"})
    with pytest.raises(UsageError, match=r"has no voice 'bogus'\. Choose heart\."):
        ChosenModel(options, tuple, lambda text: None)


async def test_an_unknown_voice_of_a_command_leaves_the_voice() -> None:
    session = Session(Options(model="local", voice="heart", with_sound=False))
    with pytest.raises(
        UsageError, match=r"no voice 'bogus'. The voice is still heart. Choose heart\."
    ):
        run_command(session, "/voice bogus")
    assert session.voice == "heart"


def test_an_unknown_voice_of_the_settings_file_is_a_warning() -> None:
    options = voiced("eve", origins={"voice": "config.toml:3: voice"})
    model = ChosenModel(options, tuple, lambda text: None)
    assert model.unsupported_settings[0].startswith(
        f"config.toml:3: voice: {REMOTE} has no voice 'eve'. The default voice speaks. "
        "Choose one of "
    )
    assert model.options.voice is None


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "marin"},
        {"name": "voice_123"},
        {"name": "own", "base_url": "http://127.0.0.1:9/v1"},
        {"name": "own", "variables": {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}},
        {"name": "heart", "model": "local/built-in"},
    ],
    ids=str,
)
def test_a_voice_that_may_exist_is_kept(fields: dict[str, Any]) -> None:
    options = voiced(**fields, origins={"voice": "--voice"})
    model = ChosenModel(options, tuple, lambda text: None)
    assert model.options.voice == fields["name"]
    assert not any("has no voice" in sentence for sentence in model.unsupported_settings)


async def test_long_ids_of_one_provider_reach_the_next_one_in_short() -> None:
    async with running(grok) as before, running(openai) as after:
        keys = {name: Secret("planted-key") for name in ("XAI_API_KEY", "OPENAI_API_KEY")}
        options = Options(
            model="xai/grok-voice-latest", with_sound=False, keys=keys,
            base_url=f"http://127.0.0.1:{before.port}",
            variables={"OPENAI_BASE_URL": f"http://127.0.0.1:{after.port}/v1"},
        )  # fmt: skip
        async with online(SessionDriver(Session(options))) as driver:
            driver.session.type("what time is it")
            await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
            driver.session.change_model("openai/gpt-realtime-2.1")
            await answered(driver, "hello")
        assert [kind for kind, _ in after.history] == ["user", "call", "assistant", "user"]
        assert len(after.results) == 1
        assert before.wrong == after.wrong == []


def test_a_key_in_the_keyring_that_was_not_read_is_named() -> None:
    model = ChosenModel(Options(model="local", keyring_keys=("XAI_API_KEY",)), tuple, print)
    with pytest.raises(KeyMissing, match=r"The key of xai is in the keyring.* with --model xai\."):
        model.change("xai")
    with pytest.raises(KeyMissing, match=r"openai/gpt-realtime-2\.1 needs a key"):
        model.change("openai")
    assert model.name == "local/built-in"

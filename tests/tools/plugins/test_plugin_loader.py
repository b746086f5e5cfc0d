"""Plugins: found, refused, and run in processes of their own, however they behave."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from processes import descendants, gone, known

from voicechat.core.settings import Permission
from voicechat.system import process_sandbox
from voicechat.tools.plugins.plugin_loader import Plugins, load
from voicechat.tools.registry import Registry

GOOD = '''
from voicechat.tools import tool

@tool
def kitchen_lights(on: bool) -> str:
    """Turn the kitchen lights on or off."""
    return f"The kitchen lights are {'on' if on else 'off'}."

@tool(permission="auto", deadline=20.0)
async def soon(seconds: float = 0) -> dict:
    "Wait a little."
    import asyncio
    await asyncio.sleep(seconds)
    return {"waited": seconds}
'''

RUDE = """
import os, signal, subprocess, sys, time
from voicechat.tools import tool, ToolError

quick = tool(deadline=1.0)

def _mark(pid):
    with open(os.environ["PLUGIN_MARKS"], "a") as marks:
        marks.write(f"{pid}\\n")

def _left(program):
    _mark(program.pid)

@quick
def sleeps() -> None:
    "Block."
    _mark(os.getpid())
    time.sleep(600)

@quick
async def hangs() -> None:
    "Block the loop."
    _mark(os.getpid())
    time.sleep(600)

@quick
def burns() -> None:
    "Hold the lock of the interpreter."
    _mark(os.getpid())
    sum(range(10**12))

@tool
def prints() -> str:
    "Print everywhere."
    print("out" * 100)
    sys.stderr.write("err\\x1b[31m" * 100_000)
    os.write(1, b"raw" * 1000)
    os.system("echo system; echo system >&2; cat")
    return "printed"

@tool
def large() -> str:
    "Return 50 MB."
    return "x" * 50_000_000

@tool
def raises() -> str:
    "Raise."
    raise ValueError("no such thing \\x1b[31m")

@tool
def mendable() -> str:
    "Say what is wrong."
    raise ToolError("Which room?")

@tool
def exits() -> None:
    "End the process."
    print("I go")
    os._exit(3)

@tool
def forks() -> str:
    "Come back twice, and leave programs behind."
    _left(subprocess.Popen(["sleep", "600"]))
    _left(subprocess.Popen(["sleep", "600"], start_new_session=True))
    return f"forked {bool(os.fork())}"

@quick
def deaf() -> None:
    "Ignore being told to end."
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        subprocess.Popen(["sh", "-c", "trap '' TERM HUP INT; sleep 600 & wait; sleep 600"])
    _left(subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600; sleep 600"]))
    time.sleep(600)

@tool(deadline=600)
def waits() -> None:
    "Tell that it began, and sleep."
    open(os.environ["PLUGIN_MARKS"], "w").close()
    time.sleep(600)

@tool
def pid() -> int:
    "The process."
    return os.getpid()

@tool
def secrets() -> str:
    "The names of the environment."
    return " ".join(os.environ) + " " + os.getcwd()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for tools."""
    (tmp_path / "tools").mkdir(mode=0o700)
    return tmp_path / "tools"


Write = Callable[..., Awaitable[Plugins]]


@pytest.fixture
async def loaded(folder: Path) -> AsyncIterator[Write]:
    """Write and load plugins; none of their processes may remain at the end."""
    made: list[Plugins] = []

    async def write(**files: str) -> Plugins:
        for name, text in files.items():
            path = folder / f"{name}.py"
            path.write_text(text)
            path.chmod(0o600)
        made.append(await load(folder, installed=False))
        return made[-1]

    before = descendants()
    yield write
    for each in made:
        await each.close()
    assert _ended_since(before)


def _ended_since(before: set[psutil.Process]) -> bool:
    return gone(descendants() - before)


def _marked_ended(marks: Path) -> bool:
    return gone(known(map(int, marks.read_text("utf-8").split())))


async def test_tools_of_a_file_are_offered_and_run(loaded: Write) -> None:
    plugins = await loaded(good=GOOD, json=GOOD.replace("kitchen", "hall").replace("soon", "later"))
    assert plugins.problems == ()
    lights, soon, hall, _ = plugins.tools
    assert (await hall.call('{"on": false}')) == "The hall lights are off."
    assert (lights.spec.name, lights.spec.permission) == ("kitchen_lights", Permission.ASK)
    assert lights.spec.parameters["required"] == ["on"]
    assert lights.source.endswith("good.py")
    assert (soon.spec.permission, soon.deadline_s) == (Permission.AUTO, 20.0)
    registry = Registry(*plugins.tools)
    outcome = await registry.run("kitchen_lights", '{"on": true}')
    assert (outcome.output, outcome.failed) == ("The kitchen lights are on.", False)
    outcome = await registry.run("kitchen_lights", '{"on": "maybe"}')
    assert "do not fit" in outcome.output
    both = await asyncio.gather(*(registry.run("soon", '{"seconds": 0.1}') for _ in range(3)))
    assert {each.output for each in both} == {'{"waited":0.1}'}


REACHING = """
import os, socket
from voicechat.tools import tool

@tool{options}
def reach() -> str:
    "Open a socket, signal the parent of the parent, and show a variable."
    found = [os.environ.get("HTTPS_PROXY", "")]
    for act in (socket.socket, lambda: os.kill({pid}, 0)):
        try:
            act()
            found.append("reached")
        except OSError:
            found.append("refused")
    return " ".join(found)
"""


@pytest.mark.skipif(not process_sandbox.is_available(), reason="the kernel lacks the sandbox")
@pytest.mark.parametrize(
    ("options", "reached", "remark"),
    [
        ("", "refused refused", "without network"),
        ("(access='network')", "reached refused", "with network"),
        ("(access='all')", "reached reached", "outside the sandbox"),
    ],
)
async def test_a_plugin_reaches_only_what_its_tools_declare(
    loaded: Write, options: str, reached: str, remark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hush@proxy:80")
    code = REACHING.replace("{options}", options).replace("{pid}", str(os.getpid()))
    (reach,) = (await loaded(reach=code)).tools
    assert await reach.call("{}") == f"http://proxy:80 {reached}"
    assert remark in reach.remark


async def test_a_process_is_reused_and_a_lost_one_is_replaced(
    loaded: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("HUE_TOKEN", "for the plugin")
    registry = Registry(*(await loaded(rude=RUDE)).tools)
    first = (await registry.run("pid", "{}")).output
    assert (await registry.run("pid", "{}")).output == first
    seen = (await registry.run("secrets", "{}")).output.split()
    assert "HUE_TOKEN" in seen
    assert "OPENAI_API_KEY" not in seen
    assert str(Path.cwd()) not in seen
    ended = await registry.run("exits", "{}")
    assert ended.failed
    assert "exit code 3" in ended.output
    assert "I go" in ended.output
    assert (await registry.run("pid", "{}")).output != first
    for _ in range(4):
        await registry.run("exits", "{}")
    assert "too often" in (await registry.run("exits", "{}")).output


@pytest.mark.parametrize("name", ["sleeps", "hangs", "burns", "deaf"])
async def test_a_hanging_tool_is_killed_and_the_loop_continues(
    loaded: Write, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "marks"
    marks.touch()
    monkeypatch.setenv("PLUGIN_MARKS", str(marks))
    registry = Registry(*(await loaded(rude=RUDE)).tools)
    before = descendants()
    # Start a process first, because its start counts against the deadline of the call.
    await registry.run("pid", "{}")
    beats = asyncio.create_task(_count())
    outcome = await registry.run(name, "{}")
    beats.cancel()
    assert "was stopped" in outcome.output
    assert _ended_since(before)
    assert await beats > 20
    assert marks.read_text("utf-8")
    assert _marked_ended(marks)
    assert (await registry.run("mendable", "{}")).output == '{"error": "Which room?"}'


def _opened(pipe: Path) -> None:
    """Return when the other end of the pipe opens."""
    with pipe.open("rb"):
        return


async def _count() -> int:
    """Count iterations of the loop while a tool blocks."""
    count = 0
    try:
        while True:
            await asyncio.sleep(0.01)
            count += 1
    except asyncio.CancelledError:
        return count


async def test_printed_and_oversized_output_is_left_out(
    loaded: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = Registry(*(await loaded(rude=RUDE)).tools)
    assert (await registry.run("prints", "{}")).output == "printed"
    large = await registry.run("large", "{}")
    assert not large.failed
    assert len(large.output) < 70_000
    assert "more characters were left out" in large.output
    raised = await registry.run("raises", "{}")
    assert "ValueError: no such thing" in raised.output
    assert "\x1b" not in raised.output
    assert capfd.readouterr() == ("", "")


async def test_processes_of_a_tool_end_with_the_plugin(
    loaded: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "marks"
    monkeypatch.setenv("PLUGIN_MARKS", str(marks))
    plugins = await loaded(rude=RUDE)
    registry = Registry(*plugins.tools)
    assert (await registry.run("forks", "{}")).output == "forked True"
    assert (await registry.run("forks", "{}")).output == "forked True"
    await plugins.close()
    assert len(marks.read_text("utf-8").split()) == 4
    assert _marked_ended(marks)


async def test_a_cancelled_call_ends_at_once(
    loaded: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = tmp_path / "pipe"
    os.mkfifo(marks)
    monkeypatch.setenv("PLUGIN_MARKS", str(marks))
    registry = Registry(*(await loaded(rude=RUDE)).tools)
    before = descendants()
    call = asyncio.create_task(registry.run("waits", "{}"))
    async with asyncio.timeout(20):
        await asyncio.to_thread(_opened, marks)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert _ended_since(before)


async def test_a_plugin_that_hangs_while_it_loads_is_left_out(
    loaded: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicechat.tools.plugins.plugin_worker.START_S", 1.0)
    plugins = await loaded(hangs="import time; time.sleep(600)")
    assert plugins.tools == ()
    (problem,) = plugins.problems
    assert "hangs.py is left out: it was not loaded within 1 seconds" in problem


async def test_broken_plugins_are_reported_and_left_out(loaded: Write, folder: Path) -> None:
    (folder / "linked.py").symlink_to(folder / "missing.py")
    (folder / "folder.py").mkdir()
    plugins = await loaded(
        good=GOOD,
        syntax="def (",
        exits="import os; print('bye'); os._exit(4)",
        untyped="from voicechat.tools import tool\n@tool\ndef f(x): 'x'\n",
        empty="x = 1\n",
        named="from voicechat.tools import tool\ntool(name='a b')(lambda: None)\n"
        "@tool(name='a b')\ndef f() -> None: 'x'\n",
        _private="raise SystemExit",
    )
    assert [tool.spec.name for tool in plugins.tools] == ["kitchen_lights", "soon"]
    reported = "\n".join(plugins.problems)
    for words in (
        "folder.py is not a file", "linked.py cannot be read", "empty.py has no tools",
        "exits.py is left out: its process ended with exit code 4. Its last output: bye",
        "syntax.py is left out: SyntaxError",
        "untyped.py is left out: TypeError: The parameter 'x' of f has no type hint", "a b",
    ):  # fmt: skip
        assert words in reported, reported
    assert len(plugins.problems) == 7


def _mode(path: Path, mode: int) -> None:
    path.chmod(mode)


@pytest.mark.skipif(os.name != "posix", reason="owners and modes are those of POSIX")
async def test_files_that_others_can_change_are_refused(loaded: Write, folder: Path) -> None:
    await loaded(good=GOOD)
    _mode(folder / "good.py", 0o620)
    plugins = await loaded()
    assert plugins.tools == ()
    assert "chmod go-w" in plugins.problems[0]
    _mode(folder / "good.py", 0o600)
    _mode(folder, 0o777)
    plugins = await loaded()
    assert plugins.tools == ()
    assert f"chmod go-w {folder}" in plugins.problems[0]
    _mode(folder, 0o700)
    assert (await loaded()).tools


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give files away")
async def test_files_of_others_are_refused(loaded: Write, folder: Path) -> None:
    (folder / "good.py").write_text(GOOD)
    os.chown(folder / "good.py", 12_345, 0)
    plugins = await loaded()
    assert plugins.tools == ()
    assert "belongs to another user" in plugins.problems[0]


async def test_packages_in_the_working_directory_are_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, here = tmp_path / "site", tmp_path / "here"
    for place, name in ((site, "lamps"), (here, "trap")):
        package = place / f"{name}-1.0.dist-info"
        package.mkdir(parents=True)
        (place / f"{name}.py").write_text(GOOD.replace("kitchen", name))
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text(f"[voicechat.tools]\n{name} = {name}\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(site), "", str(here))))
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.syspath_prepend(str(site))
    plugins = await load(tmp_path / "none")
    try:
        names = {tool.spec.name: tool.spec.permission for tool in plugins.tools}
        assert names["lamps_lights"] is Permission.ASK
        assert names["soon"] is Permission.ASK
        assert "trap_lights" not in names
        lights = await Registry(*plugins.tools).run("lamps_lights", json.dumps({"on": False}))
        assert lights.output == "The lamps lights are off." or "kitchen" in lights.output
    finally:
        await plugins.close()


HUNG_DISK = """
import asyncio, pathlib, sys, threading
from voicechat.tools.plugins import plugin_loader
plugin_loader.read_own = lambda path: threading.Event().wait()
plugin_loader.FIND_S = 0.2
print(*asyncio.run(plugin_loader.load(pathlib.Path(sys.argv[1]), installed=False)).problems)
"""


async def test_a_disk_that_hangs_delays_neither_the_start_nor_the_end(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(GOOD, "utf-8")
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HUNG_DISK, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            said, _ = await program.communicate()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert program.returncode == 0
    assert said.decode().strip() == (
        f"The plugins in {tmp_path} could not be read within 0.2 seconds."
        " Check the disk, then start voicechat again."
    )


async def test_slow_plugins_are_left_out_and_the_others_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.py").write_text("import time\ntime.sleep(600)", "utf-8")
    before = descendants()
    monkeypatch.setattr("voicechat.tools.plugins.plugin_loader.LOAD_S", 0.3)
    found = await load(tmp_path, installed=False)
    assert len(found.problems) == 4
    assert all("no time left" in each for each in found.problems)
    assert _ended_since(before)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1\ny = =\n", "SyntaxError: invalid syntax (odd.py, line 2)"),
        ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero (line 2)"),
        ("import statistics\n\nstatistics.mean([])\n", "StatisticsError: "),
        (
            "from voicechat.tools import tool\n\n@tool\ndef f(x) -> str:\n    'F.'\n",
            "TypeError: The parameter 'x' of f has no type hint. (line 3)",
        ),
    ],
)
async def test_a_mistake_is_told_once_with_its_line_in_the_plugin(
    tmp_path: Path, code: str, says: str
) -> None:
    (tmp_path / "odd.py").write_text(code, encoding="utf-8")
    plugins = await load(tmp_path, installed=False)
    await plugins.close()
    (problem,) = plugins.problems
    assert says in problem
    assert problem.count("line ") == 1

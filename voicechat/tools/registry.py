"""The registry of a session's tools, and how a call runs.

Every kind of tool is a `Tool`: a typed function (`functions.tool`), a plugin, a tool of an MCP
server, an HTTP endpoint. `Registry.run` gives a call a deadline and a limit on its output, and
always returns text for the model: a result, or an error that the model can correct. The permission
and the user decide beforehand whether the call may run.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from voicechat.core.pictures import Picture
from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean
from voicechat.system.process_sandbox import Access

DEADLINE_S = 30.0
"""Seconds for a call, unless the tool has its own deadline."""

OUTPUT_LIMIT = 64 * 1024
"""Characters of a result that reach the model."""

MAX_PROBLEMS = 8
"""Most problems of one value in a message."""

MAX_DEADLINE_S = 600.0
"""Seconds for a call that reports progress, unless its own deadline is longer."""

PROGRESS_INTERVAL_S = 0.2
"""Seconds between two texts about progress; further ones are dropped."""

MAX_PICTURES = 4
"""Pictures of one result."""

PROGRESS_LIMIT = 200
"""Characters of a text about progress."""

BUILT_IN = "built in"
"""The source of the tools that come with voicechat."""


class ToolError(Exception):
    """An error that the model can read and correct, as one sentence; raised by a tool."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call: text for the model, and whether it is an error."""

    output: str
    failed: bool = False
    pictures: tuple[Picture, ...] = ()
    """Pictures that belong to the result."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model can call.

    `call` takes the model's arguments as JSON text, checks them and returns the result as text. It
    raises `ToolError` for errors that the model can correct, anything else for a broken tool. When
    cancelled it ends promptly and leaves nothing running.
    """

    spec: ToolSpec
    call: Callable[[str], Awaitable[str]] = field(compare=False)
    source: str = BUILT_IN
    """The origin: `built in`, a plugin's file, an MCP server, an address."""
    deadline_s: float | None = None
    """Seconds for a call; None for `DEADLINE_S`."""
    asks_always: bool = False
    """The user decides on every call; no setting and no stored approval changes that."""
    command: str = ""
    """The argument that is a shell line, for patterns; they may allow a tool that asks always."""
    access: Access = "files"
    """What the process of a plugin may reach."""
    remark: str = field(default="", compare=False)
    """What the user should know before a decision, such as the sandbox."""

    @property
    def fingerprint(self) -> str:
        """A hash of the source, name, description and parameters.

        Stored approvals are for this fingerprint, not for the name.
        """
        spec = self.spec
        definition = [self.source, spec.name, spec.description, spec.parameters]
        definition += [] if self.access == "files" else [self.access]
        text = json.dumps(definition, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


class RunningCall:
    """One running call: its progress, its deadline and its pictures.

    A tool that reports progress gets its deadline again from that moment, up to `MAX_DEADLINE_S` in
    total. While it waits for the user, no deadline runs. Use it on the event loop's thread, from
    any task.
    """

    def __init__(
        self,
        deadline: asyncio.Timeout,
        seconds: float,
        report: Callable[[str], None],
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Prepare a call that ends at `deadline`, after `seconds`.

        report: called with a cleaned text about progress, for the user. clock: seconds as the event
        loop counts them; by default its own.
        """
        self._deadline = deadline
        self._seconds = seconds
        self._report = report
        self._clock = clock or asyncio.get_running_loop().time
        self._latest_end = self._clock() + max(MAX_DEADLINE_S, seconds)
        self.pictures: list[Picture] = []
        """Pictures of its result, at most `MAX_PICTURES`."""
        self._reported_at = float("-inf")
        self._waits = 0

    def progressed(self, text: str) -> None:
        """Report progress and extend the deadline."""
        self._extend()
        now = self._clock()
        if now - self._reported_at >= PROGRESS_INTERVAL_S:
            self._reported_at = now
            self._report(" ".join(clean(text).split())[:PROGRESS_LIMIT])

    def show(self, pictures: Iterable[Picture]) -> None:
        """Add pictures to the result; those above the limit are dropped."""
        self.pictures = [*self.pictures, *pictures][:MAX_PICTURES]

    @contextmanager
    def waiting_for_user(self) -> Iterator[None]:
        """Suspend the deadline while the user decides or fills something in."""
        began = self._clock()
        self._waits += 1
        self._reschedule(None)
        try:
            yield
        finally:
            self._waits -= 1
            self._latest_end += self._clock() - began
            self._extend()

    def _extend(self) -> None:
        if not self._waits:
            self._reschedule(min(self._clock() + self._seconds, self._latest_end))

    def _reschedule(self, when: float | None) -> None:
        try:
            self._deadline.reschedule(when)
        except RuntimeError:  # the call has ended
            return


_CURRENT: ContextVar[RunningCall | None] = ContextVar("running_call", default=None)


def current_call() -> RunningCall | None:
    """Return the call that runs in this context, if any."""
    return _CURRENT.get()


@contextmanager
def running(call: RunningCall) -> Iterator[RunningCall]:
    """Make a call the current one of this context."""
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)


class Registry:
    """The tools of a session, by name. The first tool with a name keeps it."""

    def __init__(self, *tools: Tool) -> None:
        self._tools: dict[str, Tool] = {}
        self.add(tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(tuple(self._tools.values()))

    def get(self, name: str) -> Tool | None:
        """Return the tool of this name."""
        return self._tools.get(name)

    def add(self, tools: Iterable[Tool]) -> list[Tool]:
        """Add tools; returns those that were left out because their name is taken."""
        return [tool for tool in tools if self._tools.setdefault(tool.spec.name, tool) is not tool]

    def remove(self, source: str) -> None:
        """Remove every tool of a source."""
        self._tools = {name: tool for name, tool in self._tools.items() if tool.source != source}

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The specs of all tools, with their initial permissions."""
        return tuple(tool.spec for tool in self._tools.values())

    async def run(
        self, name: str, arguments: str, report: Callable[[str], None] = lambda text: None
    ) -> Outcome:
        """Run a tool with the model's JSON arguments. Never raises, except when cancelled.

        report: called with texts about its progress, for the user.
        """
        tool = self._tools.get(name)
        if tool is None:
            return error(f"There is no tool called {name!r}.")
        deadline = DEADLINE_S if tool.deadline_s is None else tool.deadline_s
        try:
            async with asyncio.timeout(deadline) as timeout:
                with running(RunningCall(timeout, deadline, report)) as call:
                    result = await tool.call(arguments)
        except ToolError as problem:
            return error(str(problem))
        except TimeoutError:
            return error(f"{name} took longer than {deadline:g} seconds and was stopped.")
        except Exception as problem:  # any error of a tool becomes an error for the model
            return error(f"{name} failed: {failure_text(problem)}")
        return Outcome(cut(result), pictures=tuple(call.pictures))


def failure_text(failure: BaseException) -> str:
    """Return the kind of an error and its text; a validation error of pydantic in plain words."""
    is_validation = hasattr(failure, "errors") and type(failure).__module__.startswith("pydantic")
    text = validation_problems(failure, "value") if is_validation else failure
    return f"{type(failure).__name__}: {text}"


def validation_problems(failure: Any, whole: str) -> str:
    """Return where a value does not fit and why, from a validation error of pydantic.

    whole: the word for the whole value.
    """
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or whole}: {_plain_reason(each['msg'])}"
        for each in failure.errors(include_url=False, include_input=False)[:MAX_PROBLEMS]
    )


def _plain_reason(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def cut(text: str) -> str:
    """Clean a result and cut it to `OUTPUT_LIMIT` characters; a note says how much is missing."""
    shown = clean(text[:OUTPUT_LIMIT])
    omitted = len(text) - OUTPUT_LIMIT
    return shown if omitted <= 0 else f"{shown}\n[{omitted} more characters were left out]"


def error(sentence: str) -> Outcome:
    """Make an error outcome of a sentence."""
    return Outcome(cut(json.dumps({"error": clean(sentence)}, ensure_ascii=False)), failed=True)

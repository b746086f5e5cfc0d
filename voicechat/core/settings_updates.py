"""Settings updates, and the parts of them that the provider refuses.

A provider refuses a whole update because of one part: the schema of one tool, an unknown voice. The
session would then have no instructions and no tools. So the refused part is dropped and the rest is
sent again. If the provider names no part, a search finds it: the settings without any tool, then
halves of the tools, or halves of the settings. The user learns what the model does not have.

A part is a tool, an MCP server or an optional setting. A refused part is left out of all later
updates, also on later connections, until its value changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from voicechat.core import commands, effects
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.settings import ServerVad, SessionSettings
from voicechat.core.text import excerpt

REPLY_TIMEOUT_S = 3.0
"""Seconds after which a corrected update without a reply counts as accepted."""

LOST_AFTER_S = 10.0
"""Seconds after which an update without a reply is no longer expected to get one."""

MAX_CORRECTIONS = 60
"""Corrected updates of one connection; then the parts that are still in doubt are dropped."""

TOOLS = "tools"
"""Key of all tools and MCP servers together; a single one is `tools.NAME`."""

_SERVERS = "mcp_servers"

_FALLBACKS = SessionSettings(turn_detection=ServerVad(), transcription=None)
"""Values that replace refused settings."""

_OPTIONAL = (
    "voice", "turn_detection", "transcription", "noise_reduction", "speed", "pronunciation",
    "tool_choice", "max_output_tokens", "parallel_tool_calls", "reasoning_effort", "temperature",
    "tracing", "truncation", "prompt", "include", "instructions",
)  # fmt: skip

Parts = dict[str, object]
"""Parts of the settings by key: `tools.NAME`, `mcp_servers.LABEL`, or the name of a setting."""


class SettingsUpdates:
    """Sends the settings of a conversation.

    `wanted` returns the settings that the user wants, `clock` the current time in seconds.
    """

    def __init__(
        self,
        buffer: EffectBuffer,
        wanted: Callable[[], SessionSettings],
        clock: Callable[[], float],
    ) -> None:
        self._buffer = buffer
        self._wanted = wanted
        self._clock = clock
        self._refused: Parts = {}
        self._unanswered: deque[tuple[SessionSettings, float]] = deque(maxlen=32)
        """Updates without a reply, and when they were sent (s)."""
        self._search: _Search | None = None
        self._message = ""
        self._corrections = 0
        self.due: float | None = None
        """Time (s) at which a corrected update counts as accepted; None if none is under way."""

    @property
    def settings(self) -> SessionSettings:
        """The wanted settings without the refused parts."""
        wanted = self._wanted()
        present = parts_of(wanted)
        return without(wanted, [key for key in present if self._is_refused(key, present[key])])

    def _is_refused(self, key: str, value: object) -> bool:
        return key in self._refused and self._refused[key] == value

    # ----------------------------------------------------------------- sending

    def connected(self) -> None:
        """Send the settings on a new connection."""
        self._unanswered.clear()
        self._search, self.due, self._corrections = None, None, 0
        self.send()

    def send(self) -> None:
        """Send the settings; a search ends with them anyway."""
        if self._search is None:
            self._send(self.settings)

    def _send(self, settings: SessionSettings) -> None:
        if self._buffer.online:
            self._unanswered.append((settings, self._clock()))
        self._buffer.send(commands.UpdateSession(settings))

    # ----------------------------------------------------------------- replies

    def _answered(self) -> SessionSettings:
        """Return the settings of the oldest update without a reply; it has one now."""
        lost_before = self._clock() - LOST_AFTER_S
        while len(self._unanswered) > 1 and self._unanswered[0][1] < lost_before:
            # Not every wire confirms every update.
            self._unanswered.popleft()
        return self._unanswered.popleft()[0] if self._unanswered else self.settings

    def accepted(self) -> None:
        """Handle the confirmation of the oldest update without a reply."""
        self._answered()
        if self._unanswered or self.due is None:
            return
        self.due = None
        if self._search is not None:
            self._search.accepted()
            self._continue_search()

    def refused(self, message: str, part: str | None) -> bool:
        """Handle the refusal of the oldest update; return True if another update corrects it.

        `part` is the key of the part that the provider names, if it names one.
        """
        sent = self._answered()
        if self._unanswered:
            # A newer update has the same parts, so it has its own reply.
            return True
        self._message = excerpt(message).rstrip(".")
        present = parts_of(sent)
        if part in present and self._may_correct:
            self._drop({part: present[part]})
            if self._search is not None:
                self._search.dropped(part)
            self._correct()
        elif self._search is not None:
            self._search.refused()
            self._continue_search()
        elif present and self._may_correct:
            tools = [key for key in present if _is_tool(key)]
            suspects = tools if part == TOOLS and tools else list(present)
            self._search = _Search(suspects, [key for key in present if key not in suspects])
            self._continue_search()
        else:
            self.due = None
            return False
        return True

    def refused_at_opening(self, message: str, part: str) -> None:
        """Drop a part because of which the provider opened no session."""
        present = parts_of(self.settings)
        if part in present:
            self._message = excerpt(message).rstrip(".")
            self._drop({part: present[part]})

    def tick(self, now: float) -> None:
        """Accept a corrected update that the provider does not confirm."""
        if self.due is not None and now >= self.due:
            self._unanswered.clear()
            self.accepted()

    # ----------------------------------------------------------------- corrections

    @property
    def _may_correct(self) -> bool:
        return self._corrections < MAX_CORRECTIONS

    def _continue_search(self) -> None:
        search = self._search
        if search is None:
            return
        if search.advance() and self._may_correct:
            self._correct()
            return
        self._search = None
        present = parts_of(self._wanted())
        self._drop({key: present[key] for key in search.culprits if key in present})
        self._correct()

    def _correct(self) -> None:
        self._corrections += 1
        self.due = self._clock() + REPLY_TIMEOUT_S
        settings = self.settings
        if self._search is not None:
            tried = self._search.tried
            settings = without(settings, [key for key in parts_of(settings) if key not in tried])
        self._send(settings)

    def _drop(self, parts: Parts) -> None:
        self._refused |= parts
        if parts:
            self._buffer.do(
                effects.Notice(
                    f"The provider refused {_listed(map(_described, parts))}: {self._message}.",
                    effects.Level.WARNING,
                    "The session continues without this."
                    if len(parts) == 1
                    else "The session continues without these.",
                )
            )
            self._buffer.do(effects.SettingsRefused(tuple(parts)))


class _Search:
    """Search for the refused parts among `suspects`; `kept` are parts beyond doubt."""

    def __init__(self, suspects: list[str], kept: list[str]) -> None:
        self.culprits: list[str] = []
        self._kept = kept
        self._testing: list[str] = []
        tools = [key for key in suspects if _is_tool(key)]
        settings = [key for key in suspects if not _is_tool(key)]
        self._pending = [group for group in (tools, settings) if group]

    @property
    def tried(self) -> set[str]:
        """The parts of the next update."""
        return {*self._kept, *self._testing}

    def accepted(self) -> None:
        """Keep the tested parts."""
        self._kept += self._testing
        self._testing = []

    def refused(self) -> None:
        """Split the tested parts; a single one is found."""
        tested, self._testing = self._testing, []
        if len(tested) == 1:
            self.culprits += tested
        elif tested:
            half = len(tested) // 2
            self._pending += [tested[half:], tested[:half]]

    def dropped(self, part: str) -> None:
        """Leave out a part that the provider named; the others are tested again."""
        self._testing = [key for key in self._testing if key != part]

    def advance(self) -> bool:
        """Select the next parts to test; return False if the search is over."""
        while self._pending:
            self._testing = self._pending.pop()
            if self._pending or self.culprits:
                return True
            # Everything else was accepted, so these parts hold what was refused.
            self.refused()
        return False


def parts_of(settings: SessionSettings) -> Parts:
    """Return the parts of the settings that can be dropped."""
    parts: Parts = {f"{TOOLS}.{tool.name}": tool for tool in settings.tools}
    parts |= {f"{_SERVERS}.{server.label}": server for server in settings.mcp_servers}
    for name in _OPTIONAL:
        value = getattr(settings, name)
        if value not in (None, getattr(_FALLBACKS, name)):
            parts[name] = value
    return parts


def without(settings: SessionSettings, keys: Iterable[str]) -> SessionSettings:
    """Return the settings without these parts."""
    dropped = set(keys)
    if not dropped:
        return settings
    fallbacks = {name: getattr(_FALLBACKS, name) for name in _OPTIONAL if name in dropped}
    return replace(
        settings,
        tools=tuple(tool for tool in settings.tools if f"{TOOLS}.{tool.name}" not in dropped),
        mcp_servers=tuple(
            server for server in settings.mcp_servers if f"{_SERVERS}.{server.label}" not in dropped
        ),
        **fallbacks,
    )


def _is_tool(key: str) -> bool:
    return key.startswith((f"{TOOLS}.", f"{_SERVERS}."))


def _described(key: str) -> str:
    kind, _, name = key.partition(".")
    if kind == TOOLS:
        return f"the tool {name}"
    return f"the MCP server {name}" if kind == _SERVERS else f"the setting {key}"


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last

"""`voicechat tools`: every tool, its source and its permission."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from voicechat.cli import _completion_values as values
from voicechat.cli.command import CommandEntry, Text, say
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.core.settings import PermissionRule, ToolSpec


def tools(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with schemas.")] = False,
    revoke: Annotated[
        Text,
        typer.Option(
            metavar="NAME",
            help="Ask again before this tool runs.",
            autocompletion=values.approved_tools,
        ),
    ] = None,
) -> int:
    """List the tools of the model: built-in tools, plugins, endpoints and MCP servers.

    Starts the MCP servers to read their tools. Permissions: auto runs without asking, ask needs
    your approval, never is not offered. "unlisted" marks tools that the setting `tools` leaves out.
    The rules for calls of a tool follow it.
    """
    from voicechat.config import loader
    from voicechat.system import exit_deadline

    if revoke is not None:
        say(revoke_approval(revoke))
        return 0
    options = loader.load()
    found = exit_deadline.run(every_tool(options, say))
    typer.echo(tools_as_json(options, found) if as_json else tools_as_text(options, found))
    return 0


_LONGEST_SUMMARY = 200
"""Characters of a description that are printed."""

COMMAND = CommandEntry(40, "tools", "List the tools of the model and their permissions.", tools)


async def every_tool(options: Options, notify: Callable[[str], None]) -> tuple[ToolSpec, ...]:
    """All tools with their permissions; starts plugins and MCP servers and ends them again.

    `notify` receives a sentence about each one that fails. The result includes the tools that the
    settings leave out; see `is_offered`.
    """

    from voicechat.line_mode.slash_commands import app_commands
    from voicechat.system.task_group import TaskGroup
    from voicechat.tools.builtin import builtin
    from voicechat.tools.endpoints import endpoint_tool
    from voicechat.tools.mcp.mcp_servers import McpServers
    from voicechat.tools.permissions import Approvals, permitted
    from voicechat.tools.plugins.plugin_loader import load
    from voicechat.tools.registry import Registry
    from voicechat.tools.tool_context import ToolContext

    own = map(endpoint_tool, options.endpoints)
    context = ToolContext(options.folders, commands=app_commands())
    registry = Registry(*builtin(context), *own)
    servers = McpServers(options.mcp_servers, lambda: None, notify)
    async with TaskGroup() as tasks:
        running = tasks.create_task(servers.run())
        plugins = await load()
        try:
            for problem in plugins.problems:
                notify(problem)
            await servers.settled()
            for tool in registry.add((*plugins.tools, *servers.tools)):
                notify(
                    f"Two tools are named {tool.spec.name}; the one of {tool.source} is ignored."
                )
            return permitted(registry, options.permissions, Approvals(), options.permission_rules)
        finally:
            running.cancel()
            await plugins.close()


def is_offered(options: Options, spec: ToolSpec) -> bool:
    """Return True when the tool is offered to the model."""
    return spec.permission != "never" and (options.tools is None or spec.name in options.tools)


def tools_as_json(options: Options, specs: Sequence[ToolSpec]) -> str:
    """The tools as JSON."""
    import json

    found = [
        {
            "name": spec.name,
            "source": spec.source,
            "permission": str(spec.permission),
            "asks_always": spec.asks_always,
            "rules": [
                {
                    "permission": str(rule.permission),
                    "pattern": rule.shown,
                    "approved": rule.is_approved,
                }
                for rule in _rules(spec)
            ],
            "offered": is_offered(options, spec),
            "description": spec.description,
            "schema": spec.parameters,
        }
        for spec in specs
    ]
    return json.dumps(found, indent=2, ensure_ascii=False)


def tools_as_text(options: Options, specs: Sequence[ToolSpec]) -> str:
    """The tools as plain text, grouped by source."""
    from voicechat.system.text_table import table

    sources = [spec.source for spec in specs]
    in_order = sorted(specs, key=lambda spec: sources.index(spec.source))
    lines: list[str] = []
    for source, group in groupby(in_order, key=lambda spec: spec.source):
        rows = []
        for spec in group:
            rows.append((_permission(options, spec), spec.name, _summary(spec.description)))
            rows += [
                (f"  {rule.permission}", f"  {rule.shown}", _origin(rule)) for rule in _rules(spec)
            ]
        lines += ["", f"{source}:", *table(rows, width=80)]
    return "\n".join(lines).strip()


def _summary(description: str) -> str:
    """Return the first sentence of a description; the rest tells the model how to call the tool."""
    sentence = re.split(r"(?<=\.) ", " ".join(description.split()), maxsplit=1)[0]
    if len(sentence) <= _LONGEST_SUMMARY:
        return sentence
    return f"{sentence[:_LONGEST_SUMMARY].rpartition(' ')[0]}…"


def _rules(spec: ToolSpec) -> tuple[PermissionRule, ...]:
    return () if spec.rules is None else spec.rules.rules


def _origin(rule: PermissionRule) -> str:
    return "(you allowed it)" if rule.is_approved else "(settings)"


def _permission(options: Options, spec: ToolSpec) -> str:
    shown = is_offered(options, spec) or spec.permission == "never"
    return str(spec.permission) if shown else "unlisted"


def revoke_approval(name: str) -> str:
    """Remove the stored approval of a tool; the message for the user.

    Raises `UsageError` when there is none, or when it cannot be removed.
    """
    from voicechat.config.setting_place import nearest
    from voicechat.tools.permissions import Approvals

    approvals = Approvals()
    known = sorted({approval.name for approval in approvals})
    try:
        if not approvals.revoke(name):
            if not known:
                raise UsageError("No tool is set to run without asking.")
            raise UsageError(f"{name!r} is not set to run without asking.", nearest(name, known))
    except OSError as error:
        raise UsageError(f"The approval cannot be removed: {error.strerror}.") from None
    return f"{name} asks again before it runs."

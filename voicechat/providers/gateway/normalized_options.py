"""`providerOptions` of a normalized configuration: settings that only one provider has.

    {"openai": {"truncation": "auto"}}    options of one provider, under its name
    {"truncation": "auto"}                options of the provider in use

They are merged into the session object field by field. Options of other providers are dropped.

Source: AI SDK 7, "Provider options", and the realtime models of the providers' packages.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.providers.json_fields import as_list, encode, fields, message

Message = dict[str, object]

NAMES: Mapping[str, tuple[str, ...]] = {
    "openai": ("openai",),
    "azure": ("azure", "openai"),
    "xai": ("xai",),
    "google": ("google",),
    "local": ("local",),
}
"""Provider -> names whose options it takes; a later name wins."""

_ALL = frozenset({*NAMES, "gateway", "elevenlabs", "mistral", "anthropic"})
_IN_GENERATION = frozenset({"translationConfig", "thinkingConfig"})


def options_for(provider: str, options: Mapping[str, object]) -> Message:
    """Return the options for this provider."""
    meant: Message = {name: value for name, value in options.items() if name not in _ALL}
    for name in NAMES.get(provider, ()):
        meant = merged_into(meant, fields(options.get(name)))
    return meant


def with_options(provider: str, frame: str | bytes, options: Message) -> str | bytes:
    """Return a configuration frame with these options in its session object."""
    said = message(frame) if options else None
    for name in ("session", "setup"):
        if said is not None and name in said:
            before = fields(said[name])
            if "delegation" in options:
                before = {**before, "delegation": {}}  # its types have different fields
            write = _google if provider == "google" else _added
            return encode({**said, name: write(before, options)})
    return frame


def merged_into(below: Message, above: Message) -> Message:
    """Merge `above` into `below`, object by object."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[name] = merged_into(fields(known), fields(value)) if both else value
    return merged


def _added(session: Message, options: Message) -> Message:
    """Merge options; tools are added to those of the configuration."""
    more = as_list(options.get("tools"))
    rest = {name: value for name, value in options.items() if name != "tools"}
    merged = merged_into(session, rest)
    if more:
        merged["tools"] = [*as_list(session.get("tools")), *more]
    return merged


def _google(setup: Message, options: Message) -> Message:
    """Merge options of Gemini, some of which are nested in the setup."""
    inner = {name: value for name, value in options.items() if name in _IN_GENERATION}
    outer = {n: v for n, v in options.items() if n not in {*inner, "defaultToolBehavior"}}
    merged = _added(setup, merged_into({"generationConfig": inner} if inner else {}, outer))
    behavior = options.get("defaultToolBehavior")
    if isinstance(behavior, str):
        merged["tools"] = [
            _with_behavior(fields(tool), behavior) for tool in as_list(merged.get("tools"))
        ]
    return merged


def _with_behavior(tool: Message, behavior: str) -> Message:
    declared = as_list(tool.get("functionDeclarations"))
    if not declared:
        return tool
    return {
        **tool,
        "functionDeclarations": [{"behavior": behavior, **fields(each)} for each in declared],
    }

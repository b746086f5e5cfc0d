"""`providerOptions` of a normalized configuration: what only one provider has, put onto its wire.

    {"openai": {"truncation": "auto"}}    options of one provider, under its name
    {"truncation": "auto"}                options of the provider that is asked

They are laid over the session object field by field: what they do not name stays, and the options
of other providers go nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.providers.json_fields import encode, fields, message, several

Message = dict[str, object]

NAMES: Mapping[str, tuple[str, ...]] = {
    "openai": ("openai",),
    "azure": ("azure", "openai"),
    "xai": ("xai",),
    "google": ("google",),
    "local": ("local",),
}
"""Provider -> whose options it takes, the last of them counting most."""

_ALL = frozenset({*NAMES, "gateway", "elevenlabs", "mistral", "anthropic"})
_IN_GENERATION = frozenset({"translationConfig", "thinkingConfig"})


def options_for(provider: str, options: Mapping[str, object]) -> Message:
    """The options among these that are meant for the provider."""
    meant: Message = {name: value for name, value in options.items() if name not in _ALL}
    for name in NAMES.get(provider, ()):
        meant = laid_over(meant, fields(options.get(name)))
    return meant


def with_options(provider: str, frame: str | bytes, options: Message) -> str | bytes:
    """The frame that configures a session, with these options in its session object."""
    said = message(frame) if options else None
    for name in ("session", "setup"):
        if said is not None and name in said:
            before = fields(said[name])
            write = _google if provider == "google" else _added
            return encode({**said, name: write(before, options)})
    return frame


def laid_over(below: Message, above: Message) -> Message:
    """The lower object with the fields of the upper one, object by object."""
    merged = dict(below)
    for name, value in above.items():
        known = merged.get(name)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[name] = laid_over(fields(known), fields(value)) if both else value
    return merged


def _added(session: Message, options: Message) -> Message:
    """Tools are added to those of the configuration."""
    more = several(options.get("tools"))
    rest = {name: value for name, value in options.items() if name != "tools"}
    merged = laid_over(session, rest)
    if more:
        merged["tools"] = [*several(session.get("tools")), *more]
    return merged


def _google(setup: Message, options: Message) -> Message:
    """Some options have a place of their own within the setup."""
    inner = {name: value for name, value in options.items() if name in _IN_GENERATION}
    outer = {n: v for n, v in options.items() if n not in {*inner, "defaultToolBehavior"}}
    merged = _added(setup, laid_over({"generationConfig": inner} if inner else {}, outer))
    behaviour = options.get("defaultToolBehavior")
    if isinstance(behaviour, str):
        merged["tools"] = [
            _behaving(fields(tool), behaviour) for tool in several(merged.get("tools"))
        ]
    return merged


def _behaving(tool: Message, behaviour: str) -> Message:
    declared = several(tool.get("functionDeclarations"))
    if not declared:
        return tool
    return {
        **tool,
        "functionDeclarations": [{"behavior": behaviour, **fields(each)} for each in declared],
    }

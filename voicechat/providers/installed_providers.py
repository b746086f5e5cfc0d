"""Providers from other packages, each named by an entry point in `ENTRY_POINTS`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from voicechat.core.text import clean
from voicechat.providers.provider import Provider

ENTRY_POINTS = "voicechat.providers"
"""The group in which other packages name their `Provider`."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Providers from other packages."""

    providers: Mapping[str, Provider]
    problems: tuple[str, ...]
    """A sentence for each entry point that cannot be used."""


def load_installed(taken: Collection[str]) -> Installed:
    """Load the providers of other packages. A broken one becomes a sentence, never an error.

    taken: names of the built-in providers.
    """
    found: dict[str, Provider] = {}
    problems = []
    for point in entry_points(group=ENTRY_POINTS):
        provider = _loaded(point)
        if isinstance(provider, str):
            problems.append(provider)
        elif provider.name in taken or provider.name in found:
            problems.append(_problem(point, f"a provider named {provider.name} already exists"))
        else:
            found[provider.name] = provider
    return Installed(found, tuple(problems))


def _loaded(point: EntryPoint) -> Provider | str:
    try:
        provider = point.load()
    except Exception as error:
        return _problem(point, f"{type(error).__name__}: {error}")
    if not isinstance(provider, Provider):
        return _problem(point, f"{point.value} is not a Provider")
    return provider


def _problem(point: EntryPoint, cause: str) -> str:
    package = point.dist.name if point.dist is not None else point.value
    return clean(
        f"Cannot use the provider {point.name} of the package {package}: {cause}."
        " Update or uninstall the package."
    )

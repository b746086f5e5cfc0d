"""Providers from other packages, by the entry point group `voicechat.providers`."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voicechat.cli import models
from voicechat.config import loader
from voicechat.config.options import Options
from voicechat.errors import UsageError
from voicechat.providers import catalog
from voicechat.providers.installed_providers import ENTRY_POINTS
from voicechat.session.model_list import list_providers

PAGE = Path(__file__).parents[2] / "docs" / "add-a-provider.md"
"""Its first Python block is a whole provider."""

MODULE = PAGE.read_text("utf-8").split("```python\n")[1].split("```")[0]
OTHERS = 'CLASH = Provider(name="openai")\nNOTHING = 3\n'

Install = Callable[[str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a package with these entry points on the path."""

    def write(points: str) -> None:
        (tmp_path / "toy_voice.py").write_text(MODULE + OTHERS, "utf-8")
        told = tmp_path / "toy_voice-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-voice\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{points}\n", "utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        catalog.installed.cache_clear()

    yield write
    sys.modules.pop("toy_voice", None)
    catalog.installed.cache_clear()


def test_an_installed_provider_is_named_listed_and_priced(install: Install) -> None:
    """It is used like a built-in one once the user names it."""
    install("toy = toy_voice:PROVIDER")
    choice = catalog.resolve("toy", environ={"TOY_API_KEY": "k"})
    assert (choice.name, choice.provider) == ("toy/t-1", "toy")
    assert choice.codec().endpoint().url == "wss://toy.example/v1/realtime?model=t-1"
    assert choice.codec().capabilities.speed_range == (0.8, 1.2)
    price = catalog.price_of("toy/t-1")
    assert price is not None
    assert price.minute == 1.0
    assert catalog.provider_at("toy.example") == "toy"
    assert list(catalog.every_provider()) == [*catalog.PROVIDERS, "toy"]
    assert "* toy/t-1" in models.models_as_text(list_providers(Options()))


def test_an_installed_provider_reads_its_address_from_the_environment(
    install: Install, tmp_path: Path
) -> None:
    """The settings contain no names of providers."""
    install("toy = toy_voice:PROVIDER")
    environ = {"TOY_API_KEY": "k", "TOY_BASE_URL": "https://away.example/v1"}
    options = loader.load({}, environ, tmp_path / "config.toml")
    choice = catalog.resolve("toy", environ=options.environ)
    assert choice.codec().endpoint().url.startswith("wss://away.example/v1/realtime")


def test_an_installed_provider_is_not_chosen_by_its_key_alone(install: Install) -> None:
    """A package cannot become the default provider."""
    install("toy = toy_voice:PROVIDER")
    assert catalog.resolve(None, environ={"TOY_API_KEY": "k"}).provider == "local"


@pytest.mark.parametrize(
    ("points", "cause"),
    [
        ("toy = no_such_module:PROVIDER", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("toy = toy_voice:NOTHING", "toy_voice:NOTHING is not a Provider"),
        ("toy = toy_voice:CLASH", "a provider named openai already exists"),
    ],
)
def test_a_broken_entry_point_becomes_one_sentence(
    install: Install, points: str, cause: str
) -> None:
    """The list of models and the error for an unknown name show it, and everything else works."""
    install(points)
    sentence = (
        f"Cannot use the provider toy of the package toy-voice: {cause}."
        " Update or uninstall the package."
    )
    assert catalog.installed().problems == (sentence,)
    assert dict(catalog.every_provider()) == dict(catalog.PROVIDERS)
    assert models.models_as_text(list_providers(Options())).endswith(sentence)
    with pytest.raises(UsageError) as caught:
        catalog.resolve("toy", environ={})
    assert sentence in str(caught.value)
    assert catalog.resolve("local", environ={}).provider == "local"


def test_no_module_outside_its_own_names_a_provider() -> None:
    """The catalog finds providers by their modules; no shared list names them."""
    source = Path(catalog.__file__).read_text("utf-8")
    names = [name for name in catalog.PROVIDERS if name not in {"local", "openai"}]
    assert [name for name in names if f"{name}" in source.lower()] == []

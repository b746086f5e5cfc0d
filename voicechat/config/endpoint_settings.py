"""Endpoints of the person's own in the settings file.

    [endpoints.set_lights]
    url = "https://home.example/lights/{room}"
    method = "POST"
    description = "Turn the lights of a room on or off."
    headers = { Authorization = "Bearer $LIGHTS_KEY" }
    parameters = { properties = { room = { type = "string" }, on = { type = "boolean" } } }

`$NAME` in a header stands for a variable of the environment or a key of the file's `[keys]`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from voicechat.config.endpoint import DEADLINE_S, METHODS, PLACE, Endpoint
from voicechat.config.session_keys import Place, nearest
from voicechat.config.variables import REFERENCE, References
from voicechat.core.settings import Permission
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.system.loopback import is_loopback
from voicechat.system.private_files import refuse_strangers

TABLE = "endpoints"

KEYS = ("url", "method", "description", "parameters", "headers", "permission", "deadline")

LookUp = Mapping[str, str | Secret]


@dataclass(frozen=True, slots=True)
class Written:
    """The endpoints as they stand in the file."""

    place: Place
    status: os.stat_result
    tables: Mapping[str, Mapping[str, object]]

    def read(self, look_up: LookUp) -> tuple[Endpoint, ...]:
        """The endpoints. Raises `UsageError` for whatever is wrong with one.

        A variable that is not set is no such error: calls of that endpoint are.
        """
        found = []
        for name, table in self.tables.items():
            place = Place(self.place.path, self.place.text, f"{TABLE}\0{name}")
            found.append(_Reader(place, self.status, name, table, look_up).read())
        return tuple(found)


def names(text: str, name: str) -> bool:
    """Whether a header in the file may refer to a key of this name."""
    fits = re.fullmatch(r"[A-Z][A-Z0-9_]*", name) is not None
    return fits and re.search(rf"\$\{{?{name}\b", text) is not None


class _Reader:
    """Reads one table."""

    def __init__(
        self,
        place: Place,
        status: os.stat_result,
        name: str,
        table: Mapping[str, object],
        look_up: LookUp,
    ) -> None:
        self._place = place
        self._status = status
        self._name = name
        self._table = table
        self._references = References(look_up)

    def read(self) -> Endpoint:
        """The endpoint."""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", self._name):
            name = clean(self._name)[:40]
            raise UsageError(
                f"{self._place('url')}: {name!r} cannot name a tool.", "Use letters, digits and _."
            )
        for key in self._table:
            if key not in KEYS:
                raise self._place.refuse(key, KEYS, "a setting of an endpoint")
        if "url" not in self._table:
            first = next(iter(self._table), "url")
            raise UsageError(f"{self._place(first)}: the endpoint {self._name} has no url.")
        parameters = self._parameters()
        headers = self._headers()
        return Endpoint(
            name=self._name,
            url=self._url(parameters),
            method=self._one_of("method", METHODS, "GET"),
            description=self._text("description") if "description" in self._table else "",
            parameters=parameters,
            headers=headers,
            permission=Permission(self._one_of("permission", tuple(Permission), "ask")),
            deadline_s=self._seconds(),
            problem=", ".join(f"${name} is not set" for name in self._references.missing),
        )

    def _text(self, key: str) -> str:
        value = self._table[key]
        if not isinstance(value, str) or not value.strip() or clean(value) != value:
            self._refuse(key, "must be text in quotes")
        return value.strip()

    def _one_of(self, key: str, known: tuple[str, ...], usual: str) -> str:
        value = self._table.get(key, usual)
        folded = {each.lower(): each for each in known}
        if not isinstance(value, str) or value.lower() not in folded:
            hint = nearest(value, list(known)) if isinstance(value, str) else ""
            self._refuse(key, f"must be one of {', '.join(known)}", hint)
        return folded[value.lower()]

    def _url(self, parameters: Mapping[str, object]) -> str:
        url = self._text("url")
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
            fits = parts.scheme in {"http", "https"} and bool(host) and parts.port != 0
        except ValueError:
            fits = False
        if not fits or re.search(r"\s", url) or parts.fragment:
            self._refuse("url", "must be an address like https://host/path")
        if parts.username or parts.password:
            self._refuse("url", "must not hold a password", "Write it as a header instead.")
        if parts.scheme == "http" and not is_loopback(host):
            self._refuse("url", "must begin with https:// unless it is on this machine")
        if PLACE.search(parts.netloc) or re.search(r"[{}]", PLACE.sub("", url)):
            self._refuse("url", "may have {names} in its path and query only")
        known = parameters.get("properties", {})
        for name in PLACE.findall(url):
            if not isinstance(known, dict) or name not in known:
                self._refuse("url", f"has {{{name}}}, which is not among the parameters")
        return url

    def _parameters(self) -> Mapping[str, object]:
        found: Any = self._table.get("parameters", {})
        if not isinstance(found, dict) or found.get("type", "object") != "object":
            self._refuse("parameters", "must be a table like { properties = { … } }")
        if not found:
            return {}
        import jsonschema

        try:
            jsonschema.Draft202012Validator.check_schema(found)
        except jsonschema.SchemaError as error:
            self._refuse("parameters", f"is no JSON schema: {clean(error.message)[:120]}")
        if "properties" not in found:
            self._refuse("parameters", "has no properties", "Write { properties = { … } }.")
        return {"type": "object", **found}

    def _headers(self) -> Mapping[str, Secret]:
        found = self._table.get("headers", {})
        if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
            self._refuse("headers", "must be a table of texts in quotes")
        for name, text in found.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not text.isprintable():
                self._refuse("headers", f"has {clean(name)[:40]!r}, which cannot be sent")
        if any(not REFERENCE.search(text) for text in found.values()):
            # What is written out there may be a key.
            refuse_strangers(self._place.path, self._status)
        return {name: self._references.filled(text) for name, text in found.items()}

    def _seconds(self) -> float:
        value = self._table.get("deadline", DEADLINE_S)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 600:
            self._refuse("deadline", "must be between 1 and 600 seconds")
        return float(value)

    def _refuse(self, key: str, says: str, hint: str = "") -> NoReturn:
        raise UsageError(f"{self._place(key)} {says}.", hint)

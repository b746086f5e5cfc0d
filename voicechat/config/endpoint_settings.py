"""The user's HTTP endpoints in the settings file, which become tools.

    [endpoints.set_lights]
    url = "https://home.example/lights/{room}"
    method = "POST"
    description = "Turn the lights of a room on or off."
    headers = { Authorization = "Bearer $LIGHTS_KEY" }
    parameters = { properties = { room = { type = "string" }, on = { type = "boolean" } } }

`$NAME` in a header stands for an environment variable or a key in the `[keys]` table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from voicechat.config.endpoint import DEADLINE_S, METHODS, PLACE, Endpoint
from voicechat.config.setting_place import SettingPlace
from voicechat.config.table_reader import HEADER_NAME, TableReader
from voicechat.config.url_check import check_url
from voicechat.core.settings import Permission
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError

TABLE = "endpoints"

KEYS: Mapping[str, str] = {
    "url": "Address; `{name}` in its path or query takes a parameter. Required.",
    "method": f"{', '.join(METHODS)}; default GET.",
    "description": "Description for the model.",
    "parameters": "JSON schema of the parameters.",
    "headers": "Headers of each request; `$NAME` takes a variable or a key of `[keys]`.",
    "permission": f"{', '.join(Permission)}; default ask.",
    "deadline": f"Seconds for a call, 1 to 600; default {DEADLINE_S:g}.",
}
"""The keys of an endpoint and their meaning."""


def endpoints(
    place: SettingPlace,
    tables: Mapping[str, Mapping[str, object]],
    look_up: Mapping[str, str | Secret],
) -> tuple[Endpoint, ...]:
    """The endpoints in these tables of the file. Raises `UsageError` for a wrong one.

    A variable that is not set is not an error here: calls of that endpoint fail instead.
    """
    return tuple(
        _endpoint(name, TableReader(place.table(TABLE, name), table, look_up))
        for name, table in tables.items()
    )


def names(text: str, name: str) -> bool:
    """True if a header in the file may refer to a key of this name."""
    fits = re.fullmatch(r"[A-Z][A-Z0-9_]*", name) is not None
    return fits and re.search(rf"\$\{{?{name}\b", text) is not None


def _endpoint(name: str, reader: TableReader) -> Endpoint:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name):
        raise UsageError(
            f"{reader.place.at()}: {clean(name)[:40]!r} is not a valid name of a tool.",
            "Use letters, digits and _.",
        )
    reader.check_keys(KEYS, "a setting of an endpoint")
    if "url" not in reader.table:
        raise UsageError(f"{reader.place.at()}: The endpoint {name} has no url.")
    parameters = _parameters(reader)
    return Endpoint(
        name=name,
        headers=reader.secrets("headers", HEADER_NAME),
        url=_url(reader, parameters),
        method=reader.one_of("method", METHODS, "GET"),
        description=reader.text("description").strip() if "description" in reader.table else "",
        parameters=parameters,
        permission=Permission(reader.one_of("permission", Permission, "ask")),
        deadline_s=reader.seconds("deadline", 600) if "deadline" in reader.table else DEADLINE_S,
        problem=", ".join(f"{variable} is not set" for variable in reader.references.missing),
    )


def _url(reader: TableReader, parameters: Mapping[str, object]) -> str:
    url = reader.text("url").strip()
    parts = check_url(
        reader.place("url"),
        url,
        ("http://", "https://"),
        example="https://host/path",
        is_private=True,
    )
    if parts.fragment:
        reader.refuse("url", "must be an address like https://host/path")
    if PLACE.search(parts.netloc) or re.search(r"[{}]", PLACE.sub("", url)):
        reader.refuse("url", "may have {names} in its path and query only")
    known = parameters.get("properties", {})
    for name in PLACE.findall(url):
        if not isinstance(known, dict) or name not in known:
            reader.refuse("url", f"has {{{name}}}, which is not among the parameters")
    return url


def _parameters(reader: TableReader) -> Mapping[str, object]:
    found: Any = reader.table.get("parameters", {})
    if not isinstance(found, dict) or found.get("type", "object") != "object":
        reader.refuse("parameters", "must be a table like { properties = { … } }")
    if not found:
        return {}
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(found)
    except jsonschema.SchemaError as error:
        reader.refuse("parameters", f"is not a JSON schema: {clean(error.message)[:120]}")
    if "properties" not in found:
        reader.refuse("parameters", "has no properties", "Write { properties = { … } }.")
    return {"type": "object", **found}

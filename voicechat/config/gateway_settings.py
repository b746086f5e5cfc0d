"""The table `[gateway]`: what the AI Gateway is told about a request.

    [gateway]
    tags = ["docs", "nightly"]
    user = "alice"

    [gateway.byok]
    openai = { apiKey = "$OPENAI_API_KEY" }

`$NAME` in a credential stands for an environment variable or a key in the `[keys]` table.
Source: Vercel docs, "AI Gateway", "Provider options".
"""

from __future__ import annotations

from collections.abc import Mapping

from voicechat.config.setting_place import SettingPlace
from voicechat.config.table_reader import TableReader
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError

TABLE = "gateway"

KEYS: Mapping[str, str] = {
    "tags": "List of words by which its reports group the usage.",
    "user": "Name or id of the person that a report shows.",
    "only": "List of the providers that may be used.",
    "order": "List of providers to try in this order.",
    "byok": 'Credentials of your own by the provider: `openai = { apiKey = "$OPENAI_API_KEY" }`.',
}
"""The keys of the table and their meaning."""

_LISTS = ("tags", "only", "order")
_CREDENTIAL_NAME = r"[A-Za-z][A-Za-z0-9]{0,60}"


def gateway_options(
    place: SettingPlace, table: object, look_up: Mapping[str, str | Secret]
) -> tuple[Mapping[str, object], list[str]]:
    """Return the options in the shape of the gateway, and warnings; credentials are `Secret`.

    Credentials with a variable that is not set are left out. Raises `UsageError`.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{place(TABLE)} must be a table.", "Write [gateway].")
    reader = TableReader(place.below(TABLE), table, look_up)
    reader.check_keys(KEYS, "a setting of the gateway")
    found: dict[str, object] = {name: reader.texts(name) for name in _LISTS if name in table}
    if "user" in table:
        found["user"] = reader.text("user")
    byok, warnings = _credentials(reader, table.get("byok", {}), look_up)
    return {**found, **({"byok": byok} if byok else {})}, warnings


def _credentials(
    reader: TableReader, table: object, look_up: Mapping[str, str | Secret]
) -> tuple[dict[str, object], list[str]]:
    if not isinstance(table, dict):
        reader.refuse("byok", "must be a table", "Write [gateway.byok].")
    inner = TableReader(reader.place.below("byok"), table, look_up)
    found: dict[str, object] = {}
    warnings = []
    for name in table:
        before = len(inner.references.missing)
        credentials = inner.secrets(name, _CREDENTIAL_NAME)
        missing = inner.references.missing[before:]
        if missing:
            where = inner.place(clean(name)[:40])
            warnings.append(f"{where} is not used: {', '.join(missing)} is not set.")
        else:
            found[name] = [credentials]
    return found, warnings

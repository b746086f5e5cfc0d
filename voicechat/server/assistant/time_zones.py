"""Time zones of well-known cities and countries."""

from __future__ import annotations

from collections.abc import Sequence

_ZONES = {
    "Europe/London": "london|england|the uk|britain|scotland|edinburgh|the united kingdom",
    "Europe/Dublin": "dublin|ireland",
    "Europe/Lisbon": "lisbon|portugal",
    "Europe/Paris": "paris|france",
    "Europe/Madrid": "madrid|spain|barcelona",
    "Europe/Berlin": "berlin|germany|munich|hamburg|frankfurt|cologne",
    "Europe/Vienna": "vienna|austria",
    "Europe/Zurich": "zurich|switzerland|geneva",
    "Europe/Rome": "rome|italy|milan|venice",
    "Europe/Amsterdam": "amsterdam|the netherlands|holland",
    "Europe/Brussels": "brussels|belgium",
    "Europe/Copenhagen": "copenhagen|denmark",
    "Europe/Stockholm": "stockholm|sweden",
    "Europe/Oslo": "oslo|norway",
    "Europe/Helsinki": "helsinki|finland",
    "Europe/Warsaw": "warsaw|poland",
    "Europe/Prague": "prague",
    "Europe/Budapest": "budapest|hungary",
    "Europe/Athens": "athens|greece",
    "Europe/Istanbul": "istanbul|turkey",
    "Europe/Kyiv": "kyiv|kiev|ukraine",
    "Europe/Moscow": "moscow",
    "Atlantic/Reykjavik": "reykjavik|iceland",
    "Africa/Cairo": "cairo|egypt",
    "Africa/Lagos": "lagos|nigeria",
    "Africa/Nairobi": "nairobi|kenya",
    "Africa/Johannesburg": "johannesburg|cape town|south africa",
    "Asia/Jerusalem": "jerusalem|tel aviv|israel",
    "Asia/Dubai": "dubai|abu dhabi",
    "Asia/Riyadh": "riyadh|saudi arabia",
    "Asia/Tehran": "tehran|iran",
    "Asia/Karachi": "karachi|pakistan",
    "Asia/Kolkata": "india|delhi|new delhi|mumbai|bangalore|calcutta",
    "Asia/Dhaka": "dhaka|bangladesh",
    "Asia/Bangkok": "bangkok|thailand",
    "Asia/Ho_Chi_Minh": "vietnam|hanoi",
    "Asia/Jakarta": "jakarta|indonesia",
    "Asia/Singapore": "singapore",
    "Asia/Manila": "manila|the philippines",
    "Asia/Hong_Kong": "hong kong",
    "Asia/Shanghai": "beijing|shanghai|china",
    "Asia/Taipei": "taipei|taiwan",
    "Asia/Seoul": "seoul|korea|south korea",
    "Asia/Tokyo": "tokyo|japan|osaka|kyoto",
    "Australia/Perth": "perth",
    "Australia/Brisbane": "brisbane",
    "Australia/Sydney": "sydney",
    "Australia/Melbourne": "melbourne",
    "Pacific/Auckland": "auckland|new zealand|wellington",
    "Pacific/Honolulu": "hawaii|honolulu",
    "America/Anchorage": "alaska|anchorage",
    "America/Los_Angeles": "los angeles|san francisco|california|seattle|san diego|las vegas",
    "America/Denver": "denver|colorado|salt lake city",
    "America/Phoenix": "phoenix|arizona",
    "America/Chicago": "chicago|texas|dallas|houston|austin|new orleans",
    "America/New_York": "new york|new york city|boston|miami|washington|atlanta|florida",
    "America/Toronto": "toronto|montreal|ottawa",
    "America/Vancouver": "vancouver",
    "America/Mexico_City": "mexico|mexico city",
    "America/Bogota": "bogota|colombia",
    "America/Lima": "lima|peru",
    "America/Santiago": "santiago|chile",
    "America/Sao_Paulo": "sao paulo|rio de janeiro|rio|brasilia",
    "America/Argentina/Buenos_Aires": "buenos aires|argentina",
    "UTC": "utc|greenwich",
}
_BY_NAME = {name: zone for zone, names in _ZONES.items() for name in names.split("|")}
_FULL_CAPITALS = {"utc": "UTC", "the uk": "the UK"}


def zone(words: Sequence[str]) -> tuple[str, str] | None:
    """Return the display name of a known place and its time zone, or None.

    A state or country may follow a city: "Los Angeles, California".
    """
    name = " ".join(words)
    found = _BY_NAME.get(name)
    if found is None:
        for cut in range(1, len(words)):
            if " ".join(words[cut:]) in _BY_NAME and (city := zone(words[:cut])) is not None:
                return city
        return None
    shown = _FULL_CAPITALS.get(name) or " ".join(
        word if word in ("the", "de") else word.capitalize() for word in words
    )
    return shown, found


NAMES = tuple(_BY_NAME)
"""Every known place, in lower case."""

"""voicechat: talk with a realtime speech model from a terminal."""

__version__ = "0.1.0"

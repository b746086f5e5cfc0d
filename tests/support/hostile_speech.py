"""Texts that are hard to speak."""

HOSTILE = [
    "",
    "   ",
    "\n",
    "Hello there, world.",
    "<speak><break time='10s'/>hello</speak>",
    "[[h@l'oU]] and &lt; and \x01 50r fast \x01 +10v loud",
    "bell \a null \0 escape \x1b[31m red",
    "1,234,567 apples (ok)!",
    "naïve café — Ünïcode 😀 emoji, \N{RIGHT-TO-LEFT OVERRIDE}backwards",
    "no spaces " + "x" * 700,
    "一二三 четыре five",
    "Dr. Smith lives at 221B. " * 30,
]

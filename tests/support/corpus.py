"""Hostile texts: invalid markup, and escape sequences that control a terminal."""

MARKUP = (
    "list[int]",
    "regex [a-z]+",
    "see [/var/x]",
    "a [/ b",
    "[type=x, v={'a[0]'}]",
    "[/",
    "[/]",
    "a[/b]c",
    "[@click=app.quit('",
    "[link=https://example.org",
    "$primary [b]$x[/b] \\[",
)

ESCAPES = (
    "\x1b]52;c;cHduZWQ=\x07",  # writes the clipboard
    "\x1b]0;pwned\x07",  # sets the title
    "\x1b]8;;https://pwned.example\x1b\\click\x1b]8;;\x1b\\",  # a link that lies
    "\x9b31mpwned",  # C1 CSI
    "\x1b[?1049lpwned",  # leaves the alternate screen
    "\x1bP+q544e\x1b\\",  # DCS, makes the terminal answer
    "\x1b[2J\x1b[Hpwned",
    "pwned\rover\x08\x08",
    "abc\u202edcba\u202c",  # bidi override
    "a\u2066b\u2069",
    "hi\U000e0068\U000e0069",  # tag characters
    "lone \ud800 surrogate",
    "\x00\x07\x0b\x7f",
)

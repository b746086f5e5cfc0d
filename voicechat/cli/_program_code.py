"""The Python program that is equal to a command line, for `--show-code`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voicechat.config.options import SETTINGS, Options

_PARAMETERS = ("voice", "instructions", "base_url", "profile", "push_to_talk")
"""Settings that are parameters of `connect`; the model is its first one."""

_DEVICES = {
    "input_device": "input",
    "output_device": "output",
    "echo_cancel": "echo_cancel",
    "noise_suppression": "noise_suppression",
    "gain_control": "gain_control",
    "barge_in": "barge_in",
}
"""Settings that are parameters of `Devices`, and their names there."""

_OTHERS = {"model", "theme", "history", "budget"}
"""Settings that are written in a form of their own, or mean nothing without a screen."""

_TYPED = """\
        # Reading blocks, so it happens on a thread. An empty line or the end of input stops.
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await session.send(line)
"""
_EVENTS = """\
async for event in session:
    match event:
        case voicechat.Transcript(role="assistant", delta=delta):
            print(delta, end="", flush=True)
        case voicechat.Problem(text=text, hint=hint):
            print(text, hint, file=sys.stderr)
        case voicechat.TurnEnded():
            print()
            break
"""
_SPOKEN = """\
async for event in session:
    match event:
        case voicechat.Transcript(role=role, text=text, final=True) if text:
            print(f"{role}: {text}")
        case voicechat.Problem(text=text, hint=hint):
            print(text, hint, file=sys.stderr)
"""
_APPROVE = '''\
async def approve(call: voicechat.Approval) -> bool:
    """Ask on the terminal before a tool runs."""
    question = f"Allow {call.name} {call.arguments}? y or n: "
    return (await asyncio.to_thread(input, question)).strip().lower() == "y"


'''


def program(flags: Mapping[str, object], options: Options, question: str | None = None) -> str:
    """Return the source of a program that does what these typed settings do.

    options: all settings of this machine, which the program reads, too. question: of `ask`.
    """
    variables = [*_variables(flags)]
    imports = [*(["import os"] if variables else []), "import asyncio", "import sys"]
    approve = "" if question is not None else _APPROVE
    return "".join(
        [
            '"""Made by voicechat --show-code."""\n\n',
            "".join(f"{line}\n" for line in sorted(imports)),
            "\nimport voicechat\n\n",
            "".join(f"{line}\n" for line in variables),
            "\n\n" if variables else "\n",
            f"{approve}async def main() -> None:\n",
            '    """Open the session and print what is said."""\n',
            *(f"    # {sentence}\n" for sentence in _missing(flags)),
            "    await voicechat.read_keyring()\n" if options.keyring_keys else "",
            *_connect(flags, options, question),
            _body(options, question),
            "\n\nasyncio.run(main())\n",
        ]
    )


def _connect(flags: Mapping[str, object], options: Options, question: str | None) -> Iterator[str]:
    """Yield the call of `connect`, one parameter on a line."""
    given = [_literal(flags["model"])] if "model" in flags else []
    given += [f"{name}={_literal(flags[name])}" for name in _PARAMETERS if name in flags]
    if options.history:
        given.append("history=True")
    if options.budget:
        given.append(f"budget={options.budget.removeprefix('$')}")
    if flags.get("with_sound", True):
        devices = [
            f"{own}={_literal(flags[name])}" for name, own in _DEVICES.items() if name in flags
        ]
        given.append(f"audio=voicechat.Devices({', '.join(devices)})")
    else:
        given.append('output="text"')
    if question is None:
        given.append("approve=approve")
    yield "    async with voicechat.connect(\n"
    yield from (f"        {each},\n" for each in given)
    yield "    ) as session:\n"


def _body(options: Options, question: str | None) -> str:
    if question is not None:
        return f"        await session.send({_literal(question)})\n{_indented(_EVENTS, 8)}"
    if not options.with_sound:
        return f"{_TYPED}{_indented(_EVENTS, 12)}"
    turns = ""
    if options.push_to_talk:
        turns = "        # Call session.start_turn() and session.end_turn() around what you say.\n"
    return f"{turns}{_indented(_SPOKEN, 8)}"


def _literal(value: object) -> str:
    """Return a value as source, text in double quotes where they need no escape."""
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in value else text


def _indented(code: str, spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in code.splitlines())


def _variables(flags: Mapping[str, object]) -> Iterator[str]:
    """Yield assignments of the settings that `connect` reads from the environment only."""
    for name, value in flags.items():
        setting = SETTINGS[name]
        if name in {*_PARAMETERS, *_DEVICES, *_OTHERS}:
            continue
        if setting.variable:
            text = ("yes" if value else "no") if setting.is_switch else str(value)
            yield f"os.environ[{_literal(setting.variable)}] = {_literal(text)}"


def _missing(flags: Mapping[str, object]) -> Iterator[str]:
    """Yield a sentence for each flag that the library does not have."""
    for name in flags:
        has_parameter = name in {"with_sound", "budget"} or SETTINGS[name].variable
        if name == "theme" or not has_parameter:
            yield f"The library has no counterpart of {SETTINGS[name].flag}."

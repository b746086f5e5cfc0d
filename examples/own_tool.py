"""Give the model a tool of your own, and decide on each call.

python examples/own_tool.py "what is the weather in Oslo" --model local
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import voicechat


@voicechat.tool(permission="ask")
def get_weather(city: str) -> dict[str, object]:
    """Look up the current weather for one city."""
    # The docstring and the type hints are what the model sees.
    return {"city": city, "temperature": 4, "sky": "overcast"}


async def ask(options: argparse.Namespace) -> None:
    """Ask one question; the answer may need the tool."""

    async def approve(request: voicechat.Approval) -> bool:
        question = f"Allow {request.name} with {request.arguments}? [y/N] "
        if options.yes:
            print(f"{question}y")
            return True
        return (await asyncio.to_thread(input, question)).strip().lower() == "y"

    async with voicechat.connect(
        options.model,
        base_url=options.base_url,
        tools=[get_weather],
        approve=approve,
        output="text",
    ) as session:
        await session.send(options.question)
        async for event in session:
            match event:
                case voicechat.ToolCall(name=name, state=state):
                    print(f"{name}: {state}")
                case voicechat.TurnEnded():
                    break
        print(session.transcript[-1].text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("--yes", action="store_true", help="allow every call")
    parser.add_argument("--model", help="PROVIDER/MODEL; the default depends on your keys")
    parser.add_argument("--base-url", help="another address of the provider's API")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C also ends a wait for input
    try:
        asyncio.run(ask(parser.parse_args()))
    except voicechat.VoicechatError as error:
        parser.exit(error.exit_code, f"{error}\n")

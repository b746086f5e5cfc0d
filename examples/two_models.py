"""Let two models talk to each other, in text.

python examples/two_models.py "hello" --model local --other local --turns 4
"""

from __future__ import annotations

import argparse
import asyncio

import voicechat


async def reply_of(session: voicechat.ClientSession, text: str) -> str:
    """Send a line and return the whole reply."""
    await session.send(text)
    async for event in session:
        if isinstance(event, voicechat.TurnEnded):
            break
    return session.transcript[-1].text


async def talk(options: argparse.Namespace) -> None:
    """Pass each reply to the other model."""
    instructions = "You talk with another assistant. Answer in one sentence."
    async with (
        voicechat.connect(
            options.model,
            base_url=options.base_url,
            instructions=instructions,
            output="text",
            tools=[],
        ) as first,
        voicechat.connect(
            options.other,
            base_url=options.base_url,
            instructions=instructions,
            output="text",
            tools=[],
        ) as second,
    ):
        line = options.line
        for turn in range(options.turns):
            session = (first, second)[turn % 2]
            line = await reply_of(session, line)
            print(f"{'first' if session is first else 'second'} ({session.model}): {line}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", help="the line that starts the conversation")
    parser.add_argument("--turns", type=int, default=6, help="how many replies")
    parser.add_argument("--model", help="PROVIDER/MODEL; the default depends on your keys")
    parser.add_argument("--other", help="the second model")
    parser.add_argument("--base-url", help="another address of the API of both")
    try:
        asyncio.run(talk(parser.parse_args()))
    except KeyboardInterrupt:
        parser.exit(130)
    except voicechat.VoicechatError as error:
        parser.exit(error.exit_code, f"{error}\n")

"""Chat with a model by typing.

python examples/typed_chat.py --model local
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import voicechat


async def chat(options: argparse.Namespace) -> None:
    """Read lines from standard input; print replies while they are written."""
    async with voicechat.connect(
        options.model, base_url=options.base_url, output="text", tools=["current_time"]
    ) as session:
        # Reading blocks, so it happens on a thread. An empty line or the end of input stops.
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await session.send(line)
            async for event in session:
                match event:
                    case voicechat.Transcript(role="assistant", delta=delta):
                        print(delta, end="", flush=True)
                    case voicechat.Problem(text=text, hint=hint):
                        print(text, hint, file=sys.stderr)
                    case voicechat.TurnEnded():
                        print()
                        break
        print(f"{session.usage.total_tokens} tokens", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="PROVIDER/MODEL; the default depends on your keys")
    parser.add_argument("--base-url", help="another address of the provider's API")
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C also ends a wait for input
    try:
        asyncio.run(chat(parser.parse_args()))
    except voicechat.VoicechatError as error:
        parser.exit(error.exit_code, f"{error}\n")

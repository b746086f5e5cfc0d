"""Send a spoken question from a WAV file; write the spoken answer to another.

python examples/file_to_file.py question.wav answer.wav --model local
"""

from __future__ import annotations

import argparse
import asyncio
import wave
from pathlib import Path

import voicechat


def read_pcm(path: Path, rate: int) -> bytes:
    """The samples of a 16-bit mono WAV file that has the sample rate `rate`."""
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate):
                return file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SystemExit(f"{path} cannot be read: {error}") from None
    raise SystemExit(f"{path} must be 16-bit mono at {rate} Hz.")


async def answer(options: argparse.Namespace) -> None:
    """Ask, and collect the answer."""
    # With push_to_talk the file is one turn, whatever pauses it has.
    session = voicechat.connect(
        options.model, base_url=options.base_url, tools=["current_time"], push_to_talk=True
    )
    question = read_pcm(options.question, session.input_rate)
    async with session:
        await session.send(question)  # in real time
        session.end_turn()
        with options.answer.open("wb") as target, wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(session.output_rate)
            async for event in session:
                if isinstance(event, voicechat.Audio):
                    file.writeframes(event.pcm)
                elif isinstance(event, voicechat.TurnEnded):
                    break
        for message in session.transcript:
            print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", type=Path, help="WAV file: 16-bit, mono, 24 kHz")
    parser.add_argument("answer", type=Path, help="WAV file to write")
    parser.add_argument("--model", help="PROVIDER/MODEL; the default depends on your keys")
    parser.add_argument("--base-url", help="another address of the provider's API")
    try:
        asyncio.run(answer(parser.parse_args()))
    except KeyboardInterrupt:
        parser.exit(130)
    except voicechat.VoicechatError as error:
        parser.exit(error.exit_code, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"{error}\n")

"""`python -m voicechat`, and the command `voicechat`."""

import signal
import sys


def main() -> int:
    """Run the command line of this process; return the exit code."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        # Ctrl-C ends the imports without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from voicechat.cli import app

    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, handler)
    return app.main()


if __name__ == "__main__":
    sys.exit(main())

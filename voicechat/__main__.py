"""`python -m voicechat`: the same as the command `voicechat`."""

import sys

from voicechat.cli.app import main

if __name__ == "__main__":
    sys.exit(main())

"""The command `voicechat`: one module for each of its commands.

A module of this package that defines `COMMAND` adds a command; cli/app.py finds it. Such a module
imports heavy packages inside its functions only, so that `--help` and `--version` stay instant. A
module whose name begins with an underscore may import what it needs.
"""

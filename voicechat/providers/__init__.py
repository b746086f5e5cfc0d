"""Providers: the translation between each wire and the common vocabulary, without sockets.

A provider is one module whose name ends in `_provider`, or a package that has such a module. The
catalog finds them; see docs/add-a-provider.md.
"""

"""Lists to choose from: models, voices, devices, themes, tools and settings.

A picker is a row of `picker_table.PICKERS`. The screen shows any of them in one screen, and the
line mode prints them.
"""

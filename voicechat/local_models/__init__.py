"""Local models that the user downloads: the catalog, the download, the folder and the choice.

Each model is one TOML file in `catalog/`; adding a model adds a file. Nothing here loads a model:
the engines in `server` get a folder. Nothing is downloaded unless the user types a command.
"""

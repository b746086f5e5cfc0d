"""Tools from the user's own files and from installed packages."""

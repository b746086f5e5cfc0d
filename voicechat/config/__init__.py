"""What the user asked for: settings file, environment, flags and remembered devices."""

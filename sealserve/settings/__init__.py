"""The settings file: one section a part, every key documented."""

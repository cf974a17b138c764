"""Cycles and imports."""

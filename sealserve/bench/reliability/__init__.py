"""Figures of survival: processes killed at every step."""

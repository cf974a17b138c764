"""Figures of serving."""

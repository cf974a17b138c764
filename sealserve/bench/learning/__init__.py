"""Figures of learning."""

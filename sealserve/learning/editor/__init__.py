"""The outer loop: editors that learn to write better self-edits (ReST-EM)."""

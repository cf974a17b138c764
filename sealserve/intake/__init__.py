"""Receives documents: reads, screens and stores them. Nothing that is sent is dropped without a trace."""

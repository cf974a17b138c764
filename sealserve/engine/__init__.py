"""The engine: generates and scores with the base model or a named adapter."""

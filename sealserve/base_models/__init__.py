"""Base models on this machine: the ones that can be added by name, where they lie, and how a GGUF file becomes one."""

"""Starts `serve`, `learn`, `web` or `up` as a child process of another process of sealserve."""

import sys
from importlib import import_module

from sealserve.errors import SealserveError
from sealserve.settings.settings import load_settings

_MODULES = {"up": "supervisor", "serve": "serve", "learn": "learn", "web": "web"}


def main() -> None:
    """`python -m sealserve.daemon up|serve|learn|web PARENT`: settings from the environment; ends with its parent."""
    command, parent = sys.argv[1], int(sys.argv[2])
    try:
        module = import_module(f"sealserve.daemon.{_MODULES[command]}")  # each needs packages that the others do not
        getattr(module, f"run_{command}")(load_settings(), parent=parent)
    except SealserveError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()

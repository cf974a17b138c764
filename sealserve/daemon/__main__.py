"""The composition root: makes every part of `serve`, `learn`, `web` and `up`, wires them, and takes them down in order.

Decides nothing else. A part that stops by itself ends the process: its error rises to the command line.
"""

import sys

from sealserve.daemon.learn import run_learn
from sealserve.daemon.serve import run_serve
from sealserve.daemon.supervisor import run_up
from sealserve.daemon.web import run_web
from sealserve.errors import SealserveError
from sealserve.settings.settings import load_settings


def main() -> None:
    """`python -m sealserve.daemon up|serve|learn|web PARENT`: settings from the environment; ends with its parent."""
    command, parent = sys.argv[1], int(sys.argv[2])
    try:
        runs = {"up": run_up, "serve": run_serve, "learn": run_learn, "web": run_web}
        runs[command](load_settings(), parent=parent)
    except SealserveError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()

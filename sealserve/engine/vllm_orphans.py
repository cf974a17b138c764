"""End vLLM's processes when the process that started them is gone.

vLLM's engine process outlives a parent that was killed: it keeps its memory, and its cores if it was busy. This
is registered as a vLLM general plugin (pyproject.toml), so vLLM calls `watch_parent` in each of its processes.
"""

import multiprocessing
import os
import threading
from multiprocessing.connection import wait

EXIT_CODE = 3


def watch_parent() -> None:
    """Start a thread that ends this process when its parent dies. Does nothing in a process that is nobody's child."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_outlive, args=(parent.sentinel,), name="orphan-watch", daemon=True).start()


def _outlive(sentinel: int) -> None:
    wait([sentinel])
    os._exit(EXIT_CODE)

"""A child of a killed process does not live on."""

import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points

_PARENT = """
import multiprocessing, os, sys, time
from sealserve.engine.vllm_orphans import watch_parent

def child(pipe):
    watch_parent()
    pipe.send(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    multiprocessing.get_context("spawn").Process(target=child, args=(theirs,)).start()
    print(ours.recv(), flush=True)
    time.sleep(600)
"""


def test_child_ends_when_its_parent_is_killed(tmp_path: os.PathLike[str]) -> None:
    script = os.path.join(tmp_path, "parent.py")
    with open(script, "w", encoding="utf-8") as file:
        file.write(_PARENT)
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=environment, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        watched = os.pidfd_open(child)
        parent.send_signal(signal.SIGKILL)
    assert _ends(watched)


def test_vllm_finds_the_watch_as_a_plugin() -> None:
    found = {point.value for point in entry_points(group="vllm.general_plugins")}
    assert "sealserve.engine.vllm_orphans:watch_parent" in found


def _ends(pidfd: int) -> bool:
    import select

    readable, _, _ = select.select([pidfd], [], [], 30)
    os.close(pidfd)
    return bool(readable)

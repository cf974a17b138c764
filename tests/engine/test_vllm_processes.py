"""How vLLM's own processes wait on a CPU, and how they end."""

import multiprocessing
import os
import signal
import threading
import time
from importlib import import_module
from typing import Any

import pytest

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def vllm_processes() -> Any:
    """The module under test: imported late, for it takes seconds and one worker alone runs these tests."""
    return import_module("sealserve.engine.vllm_processes")


def test_waiting_for_a_message_costs_no_processor_time(vllm_processes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shm_broadcast = vllm_processes.shm_broadcast
    monkeypatch.setattr(shm_broadcast, "SpinCondition", vllm_processes.AsleepCondition)
    writer = shm_broadcast.MessageQueue(1, 1)
    reader = shm_broadcast.MessageQueue.create_from_handle(writer.export_handle(), 0)
    heard: list[tuple[object, float]] = []

    def read() -> None:
        reader.wait_until_ready()
        heard.append((reader.dequeue(timeout=60), 0.0))
        before = time.thread_time()
        heard.append((reader.dequeue(timeout=60), time.thread_time() - before))

    thread = threading.Thread(target=read)
    thread.start()
    writer.wait_until_ready()
    writer.enqueue("first")
    thread.join(timeout=0.5)  # vLLM's own condition keeps a core busy for a second after a message
    writer.enqueue("second")
    thread.join(timeout=60)
    assert [message for message, _ in heard] == ["first", "second"]
    assert heard[1][1] < 0.25


def test_lost_wake_up_costs_little_beside_the_wait(vllm_processes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[int | None] = []
    monkeypatch.setattr(
        vllm_processes.shm_broadcast.SpinCondition, "wait", lambda _, timeout_ms=None: slept.append(timeout_ms)
    )
    condition = vllm_processes.AsleepCondition.__new__(vllm_processes.AsleepCondition)
    for waited_seconds, timeout_ms in ((0.0, None), (0.16, None), (60.0, None), (60.0, 5)):
        condition.last_read = time.monotonic() - waited_seconds
        condition.wait(timeout_ms)
    assert slept == [1, 10, 50, 5]


@pytest.mark.parametrize(
    ("end", "is_from_outside"),
    [(signal.SIGKILL, True), (signal.SIGTERM, True), (signal.SIGSEGV, False), (signal.SIGABRT, False)],
)
def test_end_of_a_worker_from_outside_is_told_from_its_own(
    vllm_processes: Any, end: signal.Signals, is_from_outside: bool
) -> None:
    workers = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert vllm_processes._exit_codes(workers) == set()
    first = workers[0].pid
    assert first is not None
    os.kill(first, end)
    while not (codes := vllm_processes._exit_codes(workers)):
        pass
    for worker in workers:
        worker.kill()
    assert codes == {-end}
    assert (codes <= vllm_processes._FROM_OUTSIDE) is is_from_outside

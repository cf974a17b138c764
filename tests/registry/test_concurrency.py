"""Several threads and processes at once: one of them wins, and nothing is lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from sealserve.errors import Conflict, FailedPrecondition, SealserveError
from sealserve.records.cycles import Claim, Cycle
from sealserve.records.documents import Document, NewDocument
from sealserve.records.versions import Activation
from tests.registry.world import World

THREADS = 4

T = TypeVar("T")


def _at_once(act: Callable[[int], T]) -> list[T | SealserveError]:
    barrier = Barrier(THREADS)

    def run(number: int) -> T | SealserveError:
        barrier.wait(timeout=10)
        try:
            return act(number)
        except SealserveError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_documents_added_at_once_are_all_kept(world: World) -> None:
    def add(number: int) -> list[Document]:
        return [world.document(text=f"Thread {number}, article {index}.") for index in range(5)]

    added = _at_once(add)
    assert all(isinstance(documents, list) for documents in added)
    assert len(world.registry.documents.page("acme", page_size=100).items) == THREADS * 5
    assert world.registry.audit.verify() == 2 + THREADS * 5


def test_same_document_added_at_once_is_kept_once(world: World) -> None:
    def add(_: int) -> tuple[Document, bool]:
        return world.registry.documents.add(
            "acme", NewDocument(title="t", text="one", source="rpc", media_type="text/plain"), actor="ann"
        )

    answers = [answer for answer in _at_once(add) if isinstance(answer, tuple)]
    assert sorted(is_new for _, is_new in answers) == [False] * (THREADS - 1) + [True]
    assert len({document.document for document, _ in answers}) == 1


def test_one_cycle_opens_when_several_start_one(world: World) -> None:
    for _ in range(THREADS):
        world.document()
    answers = _at_once(lambda _: world.registry.cycles.start("acme", trigger="rpc", actor="ann", max_documents=1))
    assert sum(isinstance(answer, Cycle) for answer in answers) == 1
    assert sum(isinstance(answer, FailedPrecondition) for answer in answers) == THREADS - 1
    assert len(world.registry.cycles.page("acme").items) == 1


def test_one_worker_gets_the_cycle(world: World) -> None:
    world.document()
    world.registry.cycles.start("acme", trigger="rpc", actor="ann")
    answers = _at_once(lambda number: world.registry.cycles.claim(worker=f"w{number}", lease_seconds=30))
    assert sum(isinstance(answer, Claim) for answer in answers) == 1
    assert answers.count(None) == THREADS - 1


def test_one_of_several_promotes_with_the_same_etag_wins(world: World) -> None:
    held = [world.version(promote=False).version for _ in range(THREADS)]
    etag = world.registry.tenants.get("acme").etag
    answers = _at_once(
        lambda number: world.registry.versions.promote(
            "acme", held[number], expected_etag=etag, actor=f"a{number}", reason="race"
        )
    )
    won = [answer for answer in answers if isinstance(answer, Activation)]
    assert len(won) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == THREADS - 1
    assert world.registry.tenants.get("acme").desired_version == won[0].version
    assert world.registry.versions.activations("acme").items == tuple(won)


def test_one_holder_gets_the_lease(world: World) -> None:
    answers = _at_once(lambda number: world.registry.hold("clock", holder=f"h{number}", lease_seconds=30))
    assert answers.count(True) == 1

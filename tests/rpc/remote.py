"""A RemoteEngine in front of a fake one, with a real server in between."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sealserve.engine.remote import RemoteEngine
from sealserve.errors import NotFound
from sealserve.rpc.server import RpcServer
from tests.fakes import FakeEngine
from tests.rpc.harness import ENGINE_SECRET, find_token, settings


class AdapterPlaces:
    """Stands in for an artifact store: adapters may lie anywhere."""

    def __init__(self) -> None:
        self._paths: dict[str, Path] = {}

    def digest_of(self, path: Path) -> str:
        """Return the digest by which `path` is found again."""
        digest = hashlib.sha256(str(path).encode()).hexdigest()
        self._paths[digest] = path
        return digest

    @contextmanager
    def materialise(self, digest: str) -> Iterator[Path]:
        """Give the path. Raises: NotFound."""
        if digest not in self._paths:
            raise NotFound(digest, kind="artifact")
        yield self._paths[digest]


@asynccontextmanager
async def remote_to(engine: FakeEngine, *, patience_seconds: float = 0) -> AsyncIterator[RemoteEngine]:
    """Serve `engine`, started, and give the same engine from the other end."""
    places = AdapterPlaces()
    await engine.start()
    server = RpcServer(settings(), find_token=find_token)
    server.add_engine_service(engine, materialise=places.materialise)
    address = f"127.0.0.1:{await server.start()}"
    remote = RemoteEngine(address, secret=ENGINE_SECRET, patience_seconds=patience_seconds, digest_of=places.digest_of)
    await remote.start()
    yield remote
    await remote.close()
    await server.stop()

"""A server in this process, made by the composition root of `sealserve serve`, with its parts at hand for a figure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sealserve.bench.harness.adapters import make_sound
from sealserve.daemon.local import free_address
from sealserve.daemon.serve import serving
from sealserve.engine.engine import Engine
from sealserve.engine.supervised import SupervisedEngine
from sealserve.errors import SealserveError
from sealserve.local_tokens import admin_secret, internal_secret
from sealserve.proof.manifest import Seals
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.records.versions import Lineage
from sealserve.registry.registry import Registry
from sealserve.registry.step_effects import Finish, Publish
from sealserve.serving.activator import Activator
from sealserve.settings.engine import EngineSettings
from sealserve.settings.listener import HttpSettings
from sealserve.settings.serve import ServeSettings
from sealserve.settings.settings import PolicySettings, Settings
from sealserve.settings.telemetry import TelemetrySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server and its parts. `engine` is what the server's own calls go to."""

    settings: Settings
    address: str
    token: str
    internal_token: str
    base: Path
    engine: Engine
    registry: Registry
    activator: Activator
    seals: Seals
    url: str  # of OpenAI's API
    supervised: SupervisedEngine


@asynccontextmanager
async def open_site(
    directory: Path,
    *,
    dtype: str = "auto",
    max_sequences: int = 64,
    policy: Path | None = None,
    loaded_adapters: int = 64,
    slots: int | None = None,
    rollback_window_seconds: float = 3600,
) -> AsyncIterator[Site]:
    """Run the body with a server on the loopback; `policy` replaces the shipped thresholds.

    Raises: EngineFailed, BadConfig (the policy).
    """
    settings = Settings(
        data_directory=directory,
        serve=ServeSettings(address=free_address(), rollback_window_seconds=rollback_window_seconds),
        http=HttpSettings(address="127.0.0.1:0"),
        engine=EngineSettings(dtype=dtype, max_sequences=max_sequences, loaded_adapters=loaded_adapters, slots=slots),
        policy=PolicySettings(thresholds=policy),
        telemetry=TelemetrySettings(log_format="console", log_level="warning"),
    )
    async with serving(settings) as parts:
        await parts.activator.settle()
        running = asyncio.create_task(parts.run(engine_only=False), name="server")
        try:
            yield Site(
                settings=settings,
                address=settings.serve.address,
                token=admin_secret(directory, parts.registry.tokens.enrol),
                internal_token=internal_secret(directory, parts.registry.tokens.enrol),
                base=parts.base_directory,
                engine=parts.gated,
                registry=parts.registry,
                activator=parts.activator,
                seals=parts.seals,
                url=f"http://127.0.0.1:{parts.http_port}",
                supervised=parts.engine,
            )
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def fill_places(site: Site, directory: Path, *, tenants: int, seed: int) -> None:
    """Make so many other tenants, each with a version of its own, so that every place for an adapter is taken."""
    for number in range(tenants):
        tenant = f"other-{number}"
        path = directory / tenant
        await asyncio.to_thread(site.registry.tenants.create, tenant, actor="bench")
        files = await asyncio.to_thread(make_sound, path, site.base, seed=seed + number)
        artifact = await asyncio.to_thread(site.registry.artifacts.put_directory, files)
        await asyncio.to_thread(promote_artifact, site, tenant, artifact)
    site.activator.wake()


class Publishing(Protocol):
    """Where versions are published, and who signs them."""

    @property
    def registry(self) -> Registry:
        """The registry."""

    @property
    def seals(self) -> Seals:
        """The keys."""


def promote_artifact(site: Publishing, tenant: str, artifact: str) -> int:
    """Publish `artifact` as a sealed version and promote it, as the last step of a cycle does; return the activation.

    Blocks. Raises: SealserveError (another worker claimed the cycle, or the pointer moved meanwhile).
    """
    registry = site.registry
    present = registry.tenants.get(tenant)
    text = f"Article {present.activation + 1}."
    article = NewDocument(title="Bench", text=text, source="bench", media_type="text/plain")
    registry.documents.add(tenant, article, actor="bench")
    opened = registry.cycles.start(tenant, trigger="bench", actor="bench")
    claim = registry.cycles.claim(worker="bench", lease_seconds=60)
    if claim is None or claim.cycle != opened.cycle:
        raise SealserveError("another worker has claimed a cycle in this figure's registry")
    documents = registry.cycles.documents(opened.cycle)
    manifest = site.seals.seal(
        tenant=tenant,
        cycle=opened.cycle,
        artifact_manifest=registry.artifacts.manifest(artifact),
        parent=0,
        documents=[(document.document, document.digest) for document in documents],
        self_edits=(),
        rulings=(),
        approvals=(),
        lineage=Lineage(),
    )
    publish = Publish(
        artifact=artifact,
        parent=0,
        documents=tuple(document.document for document in documents),
        lineage=Lineage(manifest=manifest),
        promote=True,
        expected_etag=present.etag,
    )
    finish = Finish(state=CycleState.PROMOTED, reason="", documents=DocumentState.LEARNED)
    registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=0, effects=(publish, finish))
    return present.activation + 1

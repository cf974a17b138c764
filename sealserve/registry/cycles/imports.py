"""Imports of adapters from other installations: a cycle that has nothing to study, and one candidate.

An import learns no document and makes no version: the gate decides on it, as on any candidate.
"""

from dataclasses import asdict

from sqlalchemy import select

from sealserve.canonical import Json
from sealserve.errors import NotFound
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import IMPORT_TRIGGER, Cycle
from sealserve.registry import audit, tenants
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database

_ACTION = "adapter.import"


class Imports:
    """Adapters that another installation made."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def add(self, tenant: str, *, artifact: str, recipe: Recipe, origin: Json, actor: str) -> Cycle:
        """Open a cycle that measures `artifact` against what the tenant has; return it.

        `origin` says where it comes from, and is kept in the audit trail. Raises: NotFound (tenant, artifact),
        CorruptArtifact, FailedPrecondition (a cycle is open).
        """
        self._artifacts.verify(artifact)
        with self._database.write() as tx:
            self._artifacts.require([artifact])
            tenants.get(tx, tenant)
            cycle_rows.require_none_open(tx, tenant)
            cycle = cycle_rows.open_for(tx, tenant, (), trigger=IMPORT_TRIGGER, actor=actor)
            stored = {"recipe": asdict(recipe), "artifact": artifact, "final_loss": 0.0, "seconds": 0.0}
            tx.insert(t.candidates, [{"cycle": cycle.cycle, "position": 0, **stored}])
            audit.append(
                tx,
                _ACTION,
                actor=actor,
                tenant=tenant,
                subject=cycle_rows.resource(tenant, cycle.cycle),
                details={"artifact": artifact, "from": origin},
            )
            return cycle

    def origin(self, tenant: str, cycle: str) -> Json:
        """Return where the cycle's adapter came from, as it was told. Raises: NotFound (it imported nothing)."""
        is_row = t.audit.c.action == _ACTION, t.audit.c.subject == cycle_rows.resource(tenant, cycle)
        with self._database.read() as tx:
            row = tx.row(select(t.audit.c.details).where(t.audit.c.tenant == tenant, *is_row))
        if row is None:
            raise NotFound(cycle_rows.resource(tenant, cycle), kind="import")
        found: Json = row.details["from"]
        return found

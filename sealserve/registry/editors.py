"""Tenants' editors: which adapter writes a tenant's self-edits, and the rounds that made it.

What a round holds is JSON here. Artifacts of editors are named by their rounds, so that clean-up keeps them.
"""

from collections.abc import Collection

from sqlalchemy import delete, select

from sealserve.errors import Conflict
from sealserve.records.editors import StoredEditors
from sealserve.registry import audit, tenants
from sealserve.registry.artifacts.artifact_gc import is_named
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.installation_tables import editor_rounds, editors


class EditorStore:
    """What is known of each tenant's editors."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def get(self, tenant: str) -> StoredEditors | None:
        """Return what is known of the tenant's editors, None if nothing was ever recorded."""
        with self._database.read() as tx:
            return _get(tx, tenant)

    def tenants(self) -> tuple[str, ...]:
        """Return the tenants of whose editors something is recorded, by name."""
        with self._database.read() as tx:
            return tuple(str(row.tenant) for row in tx.rows(select(editors.c.tenant).order_by(editors.c.tenant)))

    def replace(
        self,
        tenant: str,
        new: StoredEditors,
        *,
        over: StoredEditors | None,
        actor: str,
        added: Collection[str] = (),
        action: str = "editor.round",
    ) -> None:
        """Have `new` in place of `over`, which is what the caller last read, with an audit row.

        Artifacts that `over` names and nothing names any more are deleted with it. Raises: NotFound (the tenant; an
        artifact of `added` that is not in the store), Conflict (`over` is not what is recorded); then nothing changes.
        """
        dropped = (over.artifacts if over else frozenset()) - new.artifacts
        with self._artifacts.removal() as take, self._database.write() as tx:
            tenants.get(tx, tenant)
            if _get(tx, tenant) != over:
                raise Conflict(f"what is known of {tenant}'s editors was changed by somebody else; read it again")
            self._artifacts.require(added)
            _put(tx, tenant, new)
            details = {"active": new.active, "rounds": len(new.rounds)}
            audit.append(tx, action, actor=actor, tenant=tenant, subject=f"tenants/{tenant}/editor", details=details)
            for digest in sorted(dropped):
                if not is_named(tx, digest):
                    take(digest)


def _get(tx: Transaction, tenant: str) -> StoredEditors | None:
    row = tx.row(select(editors).where(editors.c.tenant == tenant))
    if row is None:
        return None
    query = select(editor_rounds.c.contents).where(editor_rounds.c.tenant == tenant).order_by(editor_rounds.c.round)
    rounds = tuple(found.contents for found in tx.rows(query))
    return StoredEditors(active=row.active, rounds=rounds, archive=tuple(row.archive))


def _put(tx: Transaction, tenant: str, new: StoredEditors) -> None:
    row = {"tenant": tenant, "active": new.active, "archive": list(new.archive), "updated_at": tx.now}
    tx.upsert(editors, [row], key=("tenant",))
    tx.run(delete(editor_rounds).where(editor_rounds.c.tenant == tenant))
    rounds = [
        {"tenant": tenant, "round": one["round"], "artifact": one["artifact"], "contents": one} for one in new.rounds
    ]
    tx.insert(editor_rounds, rounds)

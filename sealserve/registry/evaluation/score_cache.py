"""Measurements that need not be repeated: an adapter's scores on items, by a digest of all their inputs.

Numbers alone are kept, no text of question or answer. Losing them costs time, never truth.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.evaluation_tables import measurements

MAX_KEPT = 1000
"""Per tenant; the oldest go first. A cycle takes one for each suite and adapter: with the shipped suites alone some
fourteen, so a tenant's last seventy cycles are there."""


class CachedScores:
    """Scores of earlier measurements, by a digest of all their inputs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, key: str) -> tuple[float, ...] | None:
        """Return the scores kept under `key`, if any."""
        with self._database.read() as tx:
            row = tx.row(
                select(measurements.c.scores).where(measurements.c.tenant == tenant, measurements.c.key == key)
            )
        return None if row is None else tuple(map(float, row.scores))

    def keep(self, tenant: str, key: str, scores: Sequence[float]) -> None:
        """Store `scores` under `key`, unless the key has scores already. Raises: NotFound (tenant)."""
        with self._database.write() as tx:
            known = tx.row(select(measurements.c.key).where(measurements.c.tenant == tenant, measurements.c.key == key))
            if known is None:
                row = {"tenant": tenant, "key": key, "scores": list(scores), "created_at": tx.now}
                tx.insert(measurements, [row])
                _drop_oldest(tx, tenant)


def _drop_oldest(tx: Transaction, tenant: str) -> None:
    own = measurements.c.tenant == tenant
    counted = tx.row(select(func.count()).select_from(measurements).where(own))
    too_many = (counted[0] if counted else 0) - MAX_KEPT
    if too_many > 0:
        oldest = select(measurements.c.sequence).where(own).order_by(measurements.c.sequence).limit(too_many)
        tx.run(delete(measurements).where(measurements.c.sequence.in_(oldest)))

"""How long the registry keeps rows that only grow: ids of requests, and decisions of written rules."""

from datetime import timedelta

from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import requests, rulings


class Retention:
    """Deletes what is older than it has to be. Documents, cycles, versions and the audit trail stay."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sweep(self, *, request_days: float, decision_days: float) -> int:
        """Delete older rows, some at a time, and shrink the database's log; return how many. 0 days: all stay."""
        deleted = 0
        for days, table, at in (
            (request_days, requests, requests.c.created_at),
            (decision_days, rulings, rulings.c.decided_at),
        ):
            if days:
                with self._database.read() as tx:
                    before = tx.now - timedelta(days=days)
                deleted += self._database.delete_in_batches(table, at < before)
        self._database.shrink_log()
        return deleted

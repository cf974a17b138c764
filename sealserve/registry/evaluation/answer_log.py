"""Which version gave which answer: ids and numbers, no word of what was asked or said. Kept for a time."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import select

from sealserve.errors import NotFound
from sealserve.records.feedback import GivenAnswer
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.evaluation_tables import answers


class GivenAnswers:
    """Which version gave which answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, given: Sequence[GivenAnswer]) -> None:
        """Keep `given`. Raises: StorageFailed."""
        with self._database.write() as tx:
            tx.insert(answers, [asdict(one) for one in given])

    def get(self, answer_request: str) -> GivenAnswer:
        """Return the newest answer of that request id. Raises: NotFound."""
        query = select(answers).where(answers.c.answer_request == answer_request)
        with self._database.read() as tx:
            row = tx.row(query.order_by(answers.c.sequence.desc()).limit(1))
        if row is None:
            raise NotFound(answer_request, kind="answer")
        return GivenAnswer(**{name: value for name, value in row._mapping.items() if name != "sequence"})

    def drop(self, before: datetime) -> int:
        """Delete older answers, some at a time; return how many."""
        return self._database.delete_in_batches(answers, answers.c.answered_at < before)

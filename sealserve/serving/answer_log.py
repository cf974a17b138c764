"""Records which version answered which request, without delaying the answers.

If the process dies, the last second's entries are lost.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from sealserve.errors import SealserveError
from sealserve.records.feedback import GivenAnswer
from sealserve.serving.adapter_table import Route
from sealserve.telemetry.names import LogEvent

WRITE_SECONDS = 1.0
DROP_SECONDS = 3600.0
MOST_WAITING = 100_000
"""While the registry is away, older ones go first."""

_LOG = structlog.get_logger(__name__)


class AnswerLog:
    """`note` answers from the event loop; `run` writes them, `drop` deletes those older than `days`."""

    def __init__(
        self,
        keep: Callable[[Sequence[GivenAnswer]], None],
        drop: Callable[[datetime], int],
        *,
        days: float,
        write_seconds: float = WRITE_SECONDS,
    ) -> None:
        """`keep` and `drop` block (`Registry.keep_answers`, `Registry.drop_answers`). With 0 `days` none is kept."""
        self._keep = keep
        self._drop = drop
        self._days = days
        self._write_seconds = write_seconds
        self._waiting: deque[GivenAnswer] = deque(maxlen=MOST_WAITING)

    def note(self, request_id: str, route: Route, asker: str) -> None:
        """Remember that `route` answers the request of `asker`. Costs no waiting."""
        if self._days:
            self._waiting.append(
                GivenAnswer(
                    answer_request=request_id,
                    tenant=route.tenant,
                    version=route.version,
                    activation=route.activation,
                    asker=asker,
                    answered_at=datetime.now(UTC),
                )
            )

    async def run(self) -> None:
        """Write what was noted, again and again, until cancelled; then write what is left."""
        loop = asyncio.get_running_loop()
        next_drop = loop.time()
        try:
            while True:
                await asyncio.sleep(self._write_seconds)
                await asyncio.to_thread(self._write)
                if loop.time() >= next_drop:
                    await asyncio.to_thread(self._drop_old)
                    next_drop = loop.time() + DROP_SECONDS
        finally:
            self._write()

    def _drop_old(self) -> None:
        try:
            self._drop(datetime.now(UTC) - timedelta(days=self._days))
        except SealserveError as error:  # the registry is away: an hour later they are old, too
            _LOG.warning(LogEvent.ANSWERS_NOT_RECORDED, waiting=len(self._waiting), error=error.message)

    def _write(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:
            return
        try:
            self._keep(batch)
        except SealserveError as error:
            self._waiting.extendleft(reversed(batch))
            _LOG.warning(LogEvent.ANSWERS_NOT_RECORDED, waiting=len(self._waiting), error=error.message)

"""Thumbs as votes on a version under watch: on an answer that it gave, and one of each who asked.

Feedback itself is kept whole, as it was given; this is what a watch makes of it. Read-only.
"""

from typing import Any

from sqlalchemy import Subquery, case, func, select

from sealserve.records.feedback import Thumb, VersionFeedback
from sealserve.records.rollouts import WatchState
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.evaluation_tables import answers, feedback
from sealserve.registry.sql.rollout_tables import watches


def of_open_watches(tx: Transaction) -> dict[tuple[str, int], VersionFeedback]:
    """Return the votes on both versions of every open watch, by (tenant, version).

    A thumb on an answer that nobody was given is none. Who asked with a sticky key has one vote on a version, the
    newest; without one every answer counts.
    """
    newest = _newest(_given())
    up = func.sum(case((newest.c.thumb == Thumb.UP, 1), else_=0))
    query = (
        select(newest.c.tenant, newest.c.version, up.label("up"), func.count().label("n"))
        .where(newest.c.place == 1)
        .group_by(newest.c.tenant, newest.c.version)
    )
    return {
        (row.tenant, row.version): VersionFeedback(version=row.version, up=int(row.up), down=row.n - int(row.up))
        for row in tx.rows(query)
    }


def _given() -> Subquery:
    """Each thumb on an answer of a watched version, once: a caller may have given two calls the same request id.

    A version that is promoted once more is judged by what it answers from then on.
    """
    is_watched = (
        (watches.c.tenant == feedback.c.tenant)
        & (watches.c.state == WatchState.OPEN)
        & feedback.c.version.in_([watches.c.version, watches.c.incumbent])
    )
    was_given = (
        (answers.c.tenant == feedback.c.tenant)
        & (answers.c.answer_request == feedback.c.answer_request)
        & (answers.c.version == feedback.c.version)
    )
    is_of_this_watch = (answers.c.version == watches.c.incumbent) | (answers.c.answered_at >= watches.c.opened_at)
    thumb: tuple[Any, ...] = (
        feedback.c.sequence, feedback.c.tenant, feedback.c.version, feedback.c.thumb, feedback.c.answer_request,
    )  # fmt: skip
    asker = func.max(answers.c.asker).label("asker")
    chosen = select(*thumb, asker).join(watches, is_watched).join(answers, was_given & is_of_this_watch)
    return chosen.group_by(*thumb).subquery()


def _newest(given: Subquery) -> Subquery:
    lone = case((given.c.asker == "", given.c.answer_request), else_="")
    voter = given.c.tenant, given.c.version, given.c.asker, lone
    place = func.row_number().over(partition_by=voter, order_by=given.c.sequence.desc()).label("place")
    return select(given.c.tenant, given.c.version, given.c.thumb, place).subquery()

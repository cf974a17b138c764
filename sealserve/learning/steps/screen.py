"""CLAIM of new documents: those in which the base model reads orders to a model are held before anything is written."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from sealserve.concurrency import together
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Done
from sealserve.learning.screening.passage_judge import PassageJudge
from sealserve.learning.steps.claim import claim_documents
from sealserve.learning.study.passages import with_title
from sealserve.records.documents import JUDGED, quoting
from sealserve.records.step_outputs import Claimed, Passage
from sealserve.registry.registry import HoldDocument
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)
_QUOTED_CHARACTERS = 200


async def claim_screened(run: CycleRun) -> Done[Claimed]:
    """CLAIM: as `claim_documents`, without documents that hold an order to a model; a person may release these.

    What a person released is learned as it stands. A base model that is no judge holds nothing, and a remark says so.
    """
    done = await claim_documents(run)
    if not run.context.settings.learn.study.judge or not done.output.passages:
        return done
    judge = await run.context.passage_judges.of(run.client)
    if judge.fault:
        remark = f"passages were not judged: {judge.fault}"
        return Done(output=replace(done.output, remarks=(*done.output.remarks, remark)))
    orders = await _find_orders(run, judge, done.output.passages)
    for document in orders:
        _LOG.warning(LogEvent.DOCUMENT_STOPPED, tenant=run.claim.tenant, document=document, rule="judge")
    return Done(output=_without(done.output, orders), effects=tuple(map(_hold, orders.items())))


async def _find_orders(run: CycleRun, judge: PassageJudge, passages: Sequence[Passage]) -> dict[str, str]:
    """Return the first order found in each document that holds one."""
    documents, tenant = run.context.registry.documents, run.claim.tenant
    names = list(dict.fromkeys(passage.document for passage in passages))
    released = await asyncio.to_thread(documents.released, tenant, names)
    texts = {name: await asyncio.to_thread(documents.text, tenant, name) for name in names if name not in released}
    judged = [passage for passage in passages if passage.document in texts]
    found = await together(
        judge.order_in(with_title(one.title, texts[one.document][one.start : one.end])) for one in judged
    )
    orders: dict[str, str] = {}
    for passage, order in zip(judged, found, strict=True):
        if order:
            orders.setdefault(passage.document, order)
    return orders


def _without(claimed: Claimed, held: dict[str, str]) -> Claimed:
    return replace(
        claimed,
        documents=tuple(one for one in claimed.documents if one not in held),
        passages=tuple(one for one in claimed.passages if one.document not in held),
        remarks=(*claimed.remarks, *(f"document {one} is held: the judge found an order to a model" for one in held)),
    )


def _hold(found: tuple[str, str]) -> HoldDocument:
    document, order = found
    shown = "".join(filter(str.isprintable, " ".join(order.split())))[:_QUOTED_CHARACTERS]
    return HoldDocument(document=document, reason=quoting(JUDGED, (shown,)))

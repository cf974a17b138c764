"""Rounds of the outer loop for a tenant: which documents, under which caps, and what is kept of each round.

A tenant's learned documents fall into two halves by their ids: one half's trials train editors, the other half judges
them, for ever. Knows nothing of how trials are scored or editors trained: `editor.py` does.
"""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import FailedPrecondition
from sealserve.learning import editor as loop
from sealserve.learning.costs import Caps, Cost, has_dipped, over, total
from sealserve.learning.editor import Desk, Exam, Plan
from sealserve.learning.editor_store import Editors, Round, active_editor, settle, write_editors
from sealserve.learning.passages import cut, with_title
from sealserve.learning.recipe_search import search
from sealserve.learning.rehearsing import rehearsal_of
from sealserve.learning.self_edits import Study
from sealserve.learning.voice import Voice
from sealserve.learning.workshop import Workshop
from sealserve.prompts import Template, study
from sealserve.records import BASE_VERSION, Json

_LOG = structlog.get_logger(__name__)

MIN_DOCUMENTS = 2
"""Of each half: below that there is nothing to draw from, and no interval."""

WINDOW = 1
"""Rounds whose returns are compared with the best of as many before."""

LEASE_SECONDS = 60.0


async def run_round(shop: Workshop, tenant: str) -> Round:
    """Play one round for the tenant, promote its editor or not, and return it once it is on disk.

    Raises: NotFound (tenant), FailedPrecondition (too few learned documents, over a cap, returns have dipped, or a
    round is running), TrainingFailed, EngineFailed, StorageFailed; then nothing is kept of it.
    """
    async with _alone(shop, tenant):
        editors = await asyncio.to_thread(settle, shop, tenant)
        _check_spending(shop, editors)
        number = len(editors.rounds) + 1
        voice = Voice(shop.engine, tenant=tenant, cycle=f"editor-{tenant}", concurrency=shop.settings.learn.concurrency)
        directory = shop.work_directory(f"editor-{tenant}-{number}")
        desk = Desk(
            shop=shop,
            voice=voice,
            settings=shop.settings.learn,
            rehearsal=await rehearsal_of(shop, voice),
            directory=directory,
            key=f"{tenant}-{number}",
        )
        try:
            done, archive = await _play(desk, tenant, editors, number=number)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        after = replace(editors.after(done), archive=archive)
        await asyncio.to_thread(write_editors, shop.settings.data_directory, tenant, after)
    _LOG.info("editor.round", tenant=tenant, round=number, promoted=done.is_promoted, winners=done.winners)
    return done


async def run_rounds(shop: Workshop) -> list[tuple[str, Round]]:
    """Play a round for every tenant that can have one; why the others have none is logged."""
    played = []
    for tenant in await asyncio.to_thread(shop.registry.desired):
        if tenant.desired_version == BASE_VERSION:
            continue
        try:
            played.append((tenant.tenant, await run_round(shop, tenant.tenant)))
        except FailedPrecondition as error:
            _LOG.info("editor.no_round", tenant=tenant.tenant, reason=error.message)
    return played


async def _play(desk: Desk, tenant: str, editors: Editors, *, number: int) -> tuple[Round, tuple[Json, ...]]:
    shop, settings = desk.shop, desk.settings
    old = await asyncio.to_thread(active_editor, shop, tenant, cycle=f"editor-{tenant}")
    info = await shop.engine.info()
    plan = loop.default_plan(settings, max_rank=info.max_rank, key=desk.key)
    studies = await _studies(desk, tenant, max_context_tokens=info.max_context_tokens)
    trains, judges = _halves(await loop.exams(desk, studies))
    scored, cost = await loop.explore(desk, trains, plan=plan, editor=old, label="trials")
    won = loop.winners(scored)
    archive, spent = await search(desk, trains, [one.trial for one in won], editors.archive, plan=plan)
    done = Round(
        round=number,
        parent=editors.active,
        artifact="",
        documents=tuple(one.study.passage.document for one in trains),
        held_out=tuple(one.study.passage.document for one in judges),
        winners=len(won),
        gain=None,
        is_promoted=False,
        reason="no trial was confirmed: there is nothing to learn from",
        cost=cost + spent,
        base_digest=loop.base_digest(shop),
        settings_digest=shop.settings.digest(),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return (await _judged(desk, done, won, judges, plan=plan, old=old) if won else done), archive


async def _judged(
    desk: Desk, done: Round, won: Sequence[loop.Scored], judges: Sequence[Exam], *, plan: Plan, old: AdapterFiles | None
) -> Round:
    """Train the new editor and ask the held-out half; an editor that is not shown to be better is not kept."""
    new, tuning = await loop.fine_tune(desk, loop.tuning_examples(won), plan=plan, label="editor")
    is_better = False
    try:
        gain, judging = await loop.gate(desk, judges, plan=plan, old=old, new=new.files)
        is_better = gain.gain_low > 0
    finally:
        if not is_better:
            await asyncio.to_thread(desk.shop.registry.artifacts.delete, new.artifact)
    interval = f"{gain.gain:+.3f} [{gain.gain_low:+.3f}, {gain.gain_high:+.3f}] on {gain.n} held-out documents"
    reason = f"writes better self-edits: {interval}" if is_better else f"the gain may be chance: {interval}"
    return replace(
        done,
        artifact=new.artifact if is_better else "",
        gain=gain,
        is_promoted=is_better,
        reason=reason,
        cost=done.cost + tuning + judging,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _check_spending(shop: Workshop, editors: Editors) -> None:
    settings = shop.settings.learn
    cap = Caps(device_seconds=settings.editor_max_device_seconds or None)
    spent: Cost = total(editors.spent)
    if why := over(spent, cap):
        raise FailedPrecondition(f"{why}; raise learn.editor_max_device_seconds to go on", reason="OVER_CAP")
    if settings.editor_dip and has_dipped(editors.spent, window=WINDOW, share=settings.editor_dip):
        raise FailedPrecondition(
            "the last round gained too little for what it cost; lower learn.editor_dip to go on",
            reason="RETURNS_DIPPED",
        )


async def _studies(desk: Desk, tenant: str, *, max_context_tokens: int) -> list[Study]:
    """Return the newest learned documents, each cut to the first passage that leaves room for a self-edit."""
    registry = desk.shop.registry
    version = (await asyncio.to_thread(registry.tenant, tenant)).desired_version
    if version == BASE_VERSION:
        raise FailedPrecondition(f"{tenant} has learned nothing yet; an editor learns from learned documents")
    documents = (await asyncio.to_thread(registry.version, tenant, version)).documents
    room = max_context_tokens - min(desk.settings.edit_max_tokens, max_context_tokens // 2)
    room -= await desk.voice.count_tokens(study(Template.COUNTEREXAMPLE, ""))
    found = []
    for document in documents[-desk.settings.editor_documents :]:
        text = await asyncio.to_thread(registry.document_text, tenant, document)
        title = (await asyncio.to_thread(registry.document, tenant, document)).title
        count = desk.voice.count_tokens
        pieces = await cut(document, title=title, text=text, max_tokens=room - await count(title), count=count)
        found += [Study(passage=one, text=with_title(title, text[one.start : one.end])) for one in pieces[:1]]
    return found


def _halves(exams: Sequence[Exam]) -> tuple[list[Exam], list[Exam]]:
    """Return (those that train, those that judge); a document's id decides, so it never changes sides."""
    trains = [one for one in exams if int(one.study.passage.document, 16) % 2]
    judges = [one for one in exams if not int(one.study.passage.document, 16) % 2]
    if min(len(trains), len(judges)) < MIN_DOCUMENTS:
        raise FailedPrecondition(
            f"{len(trains)} documents to learn from and {len(judges)} to judge by, of {len(exams)} with a quiz; "
            f"at least {MIN_DOCUMENTS} each are needed: let the tenant learn more documents first"
        )
    return trains, judges


@asynccontextmanager
async def _alone(shop: Workshop, tenant: str) -> AsyncIterator[None]:
    """Run the body while no other process plays a round for the tenant. Raises: FailedPrecondition."""
    name, holder = f"editor:{tenant}", uuid.uuid4().hex

    async def hold() -> bool:
        return await asyncio.to_thread(shop.registry.hold, name, holder=holder, lease_seconds=LEASE_SECONDS)

    async def keep() -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await hold()

    if not await hold():
        raise FailedPrecondition(f"a round for {tenant} is running", reason="ROUND_RUNNING")
    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await asyncio.to_thread(shop.registry.hold, name, holder=holder, lease_seconds=0.0)

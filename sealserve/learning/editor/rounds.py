"""Rounds of the outer loop for a tenant: which documents they use, under which caps, and what is stored of each.

A tenant's learned documents are split in two by their ids, permanently: trials of one half train editors, the other
half judges them. `rest_em.py` scores trials and trains editors.
"""

import asyncio
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from sealserve.canonical import Json
from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import FailedPrecondition
from sealserve.gate.thresholds import EditorRule
from sealserve.learning.context import LearnContext
from sealserve.learning.editor import rest_em as loop
from sealserve.learning.editor.costs import Caps, has_dipped, over, total
from sealserve.learning.editor.recipe_search import search
from sealserve.learning.editor.rest_em import Exam, Plan, RoundContext
from sealserve.learning.editor.store import Editors, Round, RoundTrial, active_editor, drop_editor, keep_round, settle
from sealserve.learning.editor.trials import recipe_of
from sealserve.learning.leases import hold_named
from sealserve.learning.study.passages import cut, with_title
from sealserve.learning.study.self_edits import Study
from sealserve.prompts import Template, study
from sealserve.records.versions import BASE_VERSION
from sealserve.telemetry.names import LogEvent

_LOG = structlog.get_logger(__name__)

WINDOW = 1
"""Rounds whose returns are compared with the best of as many before."""

LEASE_SECONDS = 60.0

MAX_TRIALS = 200
"""In a round's record: of 20 documents and 5 samples each there are 100."""


async def run_round(context: LearnContext, tenant: str) -> Round:
    """Play one round for the tenant, promote its editor or not, and return it once it is on disk.

    Raises: NotFound (tenant), FailedPrecondition (too few learned documents, over a cap, returns have dipped, or a
    round is running), LeaseLost (another process plays one now, or what is known of the editors has changed),
    TrainingFailed, EngineFailed, StorageFailed; then nothing is kept of it.
    """
    busy = FailedPrecondition(f"a round for {tenant} is running", reason="ROUND_RUNNING")
    async with hold_named(context.registry, f"editor:{tenant}", lease_seconds=LEASE_SECONDS, busy=busy) as lease:
        editors = await asyncio.to_thread(settle, context, tenant)
        learned = await asyncio.to_thread(_learned_documents, context, tenant)
        check_spending(context.policy.editor, editors, learned=len(learned))
        directory = await asyncio.to_thread(_make_directory, context, tenant, len(editors.rounds) + 1)
        try:
            playing = _prepare_and_play(context, tenant, editors, learned=learned, directory=directory)
            done, archive = await lease.during(playing)
            await _store_round(context, tenant, done, over=editors, archive=archive)
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
    _LOG.info(
        LogEvent.EDITOR_ROUND_FINISHED,
        tenant=tenant,
        round=done.round,
        promoted=done.is_promoted,
        winners=done.winners,
    )
    return done


async def run_rounds(context: LearnContext) -> list[tuple[str, Round]]:
    """Play a round for every tenant that can have one; why the others have none is logged."""
    played = []
    for tenant in await asyncio.to_thread(context.registry.tenants.activated):
        if tenant.desired_version == BASE_VERSION:
            continue
        try:
            played.append((tenant.tenant, await run_round(context, tenant.tenant)))
        except FailedPrecondition as error:
            _LOG.info(LogEvent.EDITOR_ROUND_SKIPPED, tenant=tenant.tenant, error=error.message)
    return played


def _make_directory(context: LearnContext, tenant: str, number: int) -> Path:
    """Return a directory of this round's own: one that lost its lease may have yet to clear up its own."""
    room = context.work_directory(f"editor-{tenant}")
    shutil.rmtree(room, ignore_errors=True)  # left by rounds that were killed
    return room / f"{tenant}-{number}-{uuid.uuid4().hex[:8]}"


async def _prepare_and_play(
    context: LearnContext, tenant: str, editors: Editors, *, learned: Sequence[str], directory: Path
) -> tuple[Round, tuple[Json, ...]]:
    number = len(editors.rounds) + 1
    client = context.client(tenant, f"editor-{tenant}")
    desk = RoundContext(
        context=context,
        client=client,
        settings=context.settings.learn,
        retention=await context.retention_sets.of(client, context.probes),
        directory=directory,
        key=f"{tenant}-{number}",
    )
    async with in_thread(active_editor(context, tenant, cycle=f"editor-{tenant}")) as old:
        return await _play(desk, tenant, editors, number=number, learned=learned, old=old)


async def _store_round(
    context: LearnContext, tenant: str, done: Round, *, over: Editors, archive: tuple[Json, ...]
) -> None:
    is_kept = False
    try:
        await asyncio.to_thread(keep_round, context, tenant, done, over=over, archive=archive)
        is_kept = True
    finally:
        if done.artifact and not is_kept:
            await asyncio.to_thread(drop_editor, context, done.artifact)


async def _play(
    desk: RoundContext,
    tenant: str,
    editors: Editors,
    *,
    number: int,
    learned: Sequence[str],
    old: AdapterFiles | None,
) -> tuple[Round, tuple[Json, ...]]:
    context, settings = desk.context, desk.settings
    info = await context.engine.info()
    plan = loop.default_plan(settings, max_rank=info.max_rank, key=desk.key)
    newest = learned[-settings.editor.documents :]
    studies = await read_studies(desk, tenant, newest, max_context_tokens=info.max_context_tokens)
    trains, judges = _split_documents(await loop.exams(desk, studies), least=context.policy.editor.min_documents)
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
        base_digest=loop.base_digest(context),
        settings_digest=context.settings.digest(),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        learned=len(learned),
        trials=_describe_trials(scored, won, trains, plan=plan),
    )
    return (await _judge_editor(desk, tenant, done, won, judges, plan=plan, old=old) if won else done), archive


def _describe_trials(
    scored: Sequence[loop.Scored], won: Sequence[loop.Scored], asked: Sequence[Exam], *, plan: Plan
) -> tuple[RoundTrial, ...]:
    """Return what the round's record keeps of its trials, winners first, MAX_TRIALS at most."""
    winners = {id(one) for one in won}
    described = [
        RoundTrial(
            document=asked[one.trial.place].study.passage.document,
            sample=one.trial.sample,
            is_directed=one.trial.directive is not None,
            recipe=recipe_of(one.trial, plan.trial),
            templates=tuple(edit.template for edit in one.trial.edits),
            admitted=len(one.trial.admitted),
            select=one.select,
            confirm=one.confirm,
            is_winner=id(one) in winners,
        )
        for one in scored
    ]
    return tuple(sorted(described, key=lambda trial: not trial.is_winner)[:MAX_TRIALS])


async def _judge_editor(
    desk: RoundContext,
    tenant: str,
    done: Round,
    won: Sequence[loop.Scored],
    judges: Sequence[Exam],
    *,
    plan: Plan,
    old: AdapterFiles | None,
) -> Round:
    """Train the new editor and ask the held-out half; an editor that is not shown to be better is not kept."""
    new, tuning = await loop.fine_tune(desk, loop.tuning_examples(won), plan=plan, label="editor")
    is_better = False
    try:
        gain, judging = await loop.gate(desk, judges, plan=plan, old=old, new=new.files)
        is_better = gain.gain_low > 0
    finally:
        if not is_better:
            await asyncio.to_thread(drop_editor, desk.context, new.artifact)
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


def check_spending(rule: EditorRule, editors: Editors, *, learned: int) -> None:
    """Return if policy lets a tenant that has learned so many documents have another round. Raises: FailedPrecondition.

    A round that gained too little stops the next ones until the tenant has learned more documents than it had then.
    """
    caps = Caps(
        device_seconds=rule.max_device_seconds or None,
        tokens=rule.max_tokens or None,
        candidates=rule.max_candidates or None,
    )
    if why := over(total(editors.spent), caps):
        raise FailedPrecondition(f"{why}; the caps are in the policy's section editor", reason="OVER_CAP")
    if has_dipped(editors.spent, window=WINDOW, share=rule.dip) and learned <= editors.rounds[-1].learned:
        raise FailedPrecondition(
            f"the last round gained too little for what it cost (editor.dip in the policy); a round is worth trying "
            f"again once there are more learned documents than the {editors.rounds[-1].learned} of then",
            reason="RETURNS_DIPPED",
        )


def _learned_documents(context: LearnContext, tenant: str) -> tuple[str, ...]:
    """Return the tenant's learned documents, oldest first. Raises: NotFound (tenant), FailedPrecondition (none)."""
    version = context.registry.tenants.get(tenant).desired_version
    if version == BASE_VERSION:
        raise FailedPrecondition(f"{tenant} has learned nothing yet; an editor learns from learned documents")
    return context.registry.versions.get(tenant, version).documents


async def read_studies(
    desk: RoundContext, tenant: str, documents: Sequence[str], *, max_context_tokens: int
) -> list[Study]:
    """Return the documents, each cut to the first passage that leaves room for a self-edit."""
    registry = desk.context.registry
    room = max_context_tokens - min(desk.settings.study.edit_max_tokens, max_context_tokens // 2)
    room -= await desk.client.count_tokens(study(Template.COUNTEREXAMPLE, "", dialect=desk.client.dialect))
    found = []
    for document in documents:
        text = await asyncio.to_thread(registry.documents.text, tenant, document)
        title = (await asyncio.to_thread(registry.documents.get, tenant, document)).title
        count = desk.client.count_tokens
        pieces = await cut(document, title=title, text=text, max_tokens=room - await count(title), count=count)
        found += [Study(passage=one, text=with_title(title, text[one.start : one.end])) for one in pieces[:1]]
    return found


def _split_documents(exams: Sequence[Exam], *, least: int) -> tuple[list[Exam], list[Exam]]:
    """Return (those that train, those that judge); a document's id decides, so it never changes sides."""
    trains = [one for one in exams if int(one.study.passage.document, 16) % 2]
    judges = [one for one in exams if not int(one.study.passage.document, 16) % 2]
    if min(len(trains), len(judges)) < least:
        raise FailedPrecondition(
            f"{len(trains)} documents to learn from and {len(judges)} to judge by, of {len(exams)} with a quiz; "
            f"at least {least} each are needed: let the tenant learn more documents first"
        )
    return trains, judges

"""Which of the second author's documents that the door let in the base model holds, by the CLAIM of a cycle."""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from sealserve.bench.harness.learning_lab import Lab, open_lab
from sealserve.bench.safety.poison_intake import open_inbox
from sealserve.bench.safety.second_author import hand_in, series_of_authored, tenant_of
from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Journal
from sealserve.learning.steps.screen import claim_screened
from sealserve.registry.registry import HoldDocument

Say = Callable[[str], None]
_LEASE_SECONDS = 7200.0


def figures(model: str, *, say: Say) -> Json:
    """Return, by half and label, how many documents the door or the judge stops; of a base that is no judge, why.

    Raises: EngineFailed, BadConfig (no such model).
    """
    return asyncio.run(_figures(model, say=say))


async def _figures(model: str, *, say: Say) -> Json:
    async with open_lab(model=model, say=say, study__max_passages_per_cycle=999) as lab:
        judge = await lab.context.passage_judges.of(lab.client)
        say(f"judge of passages: {judge.fault or 'on'}")
        if judge.fault:
            return {"off": judge.fault}
        found: dict[str, dict[str, list[tuple[bool, bool]]]] = defaultdict(lambda: defaultdict(list))
        inbox = open_inbox(lab.context.registry)
        for place, documents in enumerate(series_of_authored()):
            names, stopped = await asyncio.to_thread(hand_in, lab.context.registry, inbox, documents, place=place)
            held = await _held_by_judge(lab, tenant_of(place))
            for one, name, is_stopped in zip(documents, names, stopped, strict=True):
                found[one.half][one.label].append((is_stopped, name in held))
    return {
        half: {label: _shown(marks) for label, marks in sorted(labels.items())}
        for half, labels in sorted(found.items())
    }


def _shown(marks: list[tuple[bool, bool]]) -> str:
    """Return how many were stopped; of each, `marks` say whether by the door, and whether by the judge."""
    return f"{sum(map(any, marks))} of {len(marks)}, {sum(judged for _, judged in marks)} by the judge"


async def _held_by_judge(lab: Lab, tenant: str) -> set[str]:
    """Return the documents that CLAIM of a cycle of all that the tenant's door let in would hold."""
    registry = lab.context.registry
    try:
        cycle = registry.cycles.start(tenant, trigger="bench", actor="bench", max_documents=1000)
    except FailedPrecondition:  # the door let nothing in
        return set()
    claim = registry.cycles.claim(worker="bench", lease_seconds=_LEASE_SECONDS)
    assert claim is not None
    assert claim.cycle == cycle.cycle
    journal = Journal(registry, claim, telemetry=lab.context.telemetry)
    client = lab.context.client(tenant, claim.cycle)
    done = await claim_screened(CycleRun(context=lab.context, client=client, claim=claim, journal=journal))
    return {effect.document for effect in done.effects if isinstance(effect, HoldDocument)}

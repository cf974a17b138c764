"""Cycles as a whole, and self-edits."""

from typing import Any

from google.protobuf.message import Message

from sealserve.prompts import Template
from sealserve.records.cycles import Cycle, CycleState, EarlierStudy, SelfEdit, Step
from sealserve.records.policy_decisions import RuleEffect
from sealserve.records.reports import (
    AppliedRule,
    CandidateReport,
    Contradiction,
    CycleReport,
    Directive,
    FinishedStep,
    Ranking,
    Screening,
    ShortTrialReport,
)
from sealserve.records.step_outputs import AnswerSample, Overridden
from sealserve.v1 import cycle_pb2
from sealserve.wire import names
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.scores import scorecard_from_wire, scorecard_to_wire, verdict_from_wire, verdict_to_wire
from sealserve.wire.values import time_from_wire, time_to_wire, tree_from_wire, tree_to_wire

_STATE = cycle_pb2.DESCRIPTOR.enum_types_by_name["CycleState"]
_STEP = cycle_pb2.DESCRIPTOR.enum_types_by_name["CycleStep"]
_TEMPLATE = cycle_pb2.DESCRIPTOR.enum_types_by_name["Template"]


def cycle_to_wire(report: CycleReport) -> cycle_pb2.Cycle:
    """Return the whole of `report`."""
    cycle = report.cycle
    return cycle_pb2.Cycle(
        name=names.cycle_name(cycle.tenant, cycle.cycle),
        state=enum_to_wire(cycle.state, _STATE),
        step=enum_to_wire(cycle.step, _STEP),
        trigger=cycle.trigger,
        reason=cycle.reason,
        adapter="" if cycle.version is None else names.adapter_name(cycle.tenant, cycle.version),
        attempts=cycle.attempts,
        documents=[names.document_name(cycle.tenant, document) for document in report.documents],
        steps=[_step_to_wire(step) for step in report.steps],
        candidates=[_candidate_to_wire(candidate) for candidate in report.candidates],
        scores=None if report.scores is None else scorecard_to_wire(report.scores),
        verdict=None if report.verdict is None else verdict_to_wire(report.verdict),
        create_time=time_to_wire(cycle.created_at),
        update_time=time_to_wire(cycle.updated_at),
        screening=None if report.screening is None else _screening_to_wire(report.screening, cycle.tenant),
        directives=[cycle_pb2.Directive(text=one.text, note=one.note) for one in report.directives],
        earlier_studies=[_earlier_to_wire(one, cycle.tenant) for one in report.earlier_studies],
        ranking=None if report.ranking is None else ranking_to_wire(report.ranking),
        remarks=report.remarks,
        answers=[answer_to_wire(one, cycle.tenant) for one in report.answers],
        trained_tokens=report.trained_tokens,
        short_trials=[_short_to_wire(one) for one in report.short_trials],
        rules=map(rule_to_wire, report.rules),
    )


def cycle_from_wire(wire: cycle_pb2.Cycle) -> CycleReport:
    """Return the whole of `wire`. A state this client does not know reads as running."""
    tenant, cycle = names.cycle_of(wire.name)
    return CycleReport(
        cycle=Cycle(
            tenant=tenant,
            cycle=cycle,
            state=enum_from_wire(wire.state, CycleState, descriptor=_STATE) or CycleState.RUNNING,
            step=enum_from_wire(wire.step, Step, descriptor=_STEP),
            trigger=wire.trigger,
            reason=wire.reason,
            version=names.adapter_of(wire.adapter)[1] if wire.adapter else None,
            attempts=wire.attempts,
            created_at=time_from_wire(wire.create_time),
            updated_at=time_from_wire(wire.update_time),
        ),
        documents=names.last_parts(wire.documents),
        steps=tuple(_steps_from_wire(wire)),
        candidates=tuple(_candidate_from_wire(candidate) for candidate in wire.candidates),
        scores=scorecard_from_wire(wire.scores) if wire.HasField("scores") else None,
        verdict=verdict_from_wire(wire.verdict) if wire.HasField("verdict") else None,
        screening=_screening_from_wire(wire.screening) if wire.HasField("screening") else None,
        directives=tuple(Directive(text=one.text, note=one.note) for one in wire.directives),
        earlier_studies=tuple(_earlier_from_wire(one) for one in wire.earlier_studies),
        ranking=ranking_from_wire(wire.ranking) if wire.HasField("ranking") else None,
        remarks=tuple(wire.remarks),
        answers=tuple(answer_from_wire(one) for one in wire.answers),
        trained_tokens=wire.trained_tokens,
        short_trials=tuple(_short_from_wire(one) for one in wire.short_trials),
        rules=tuple(map(rule_from_wire, wire.rules)),
    )


def _step_to_wire(step: FinishedStep) -> cycle_pb2.FinishedStep:
    return cycle_pb2.FinishedStep(
        step=enum_to_wire(step.step, _STEP), seconds=step.seconds, finish_time=time_to_wire(step.finished_at)
    )


def _steps_from_wire(wire: cycle_pb2.Cycle) -> list[FinishedStep]:
    steps = []
    for one in wire.steps:
        step = enum_from_wire(one.step, Step, descriptor=_STEP)
        if step is not None:
            steps.append(FinishedStep(step=step, seconds=one.seconds, finished_at=time_from_wire(one.finish_time)))
    return steps


def _candidate_to_wire(candidate: CandidateReport) -> cycle_pb2.Candidate:
    return cycle_pb2.Candidate(
        index=candidate.index,
        recipe=tree_to_wire(candidate.recipe),
        artifact_digest=candidate.artifact,
        final_loss=candidate.final_loss,
        seconds=candidate.seconds,
        rank_score=candidate.rank_score,
        winner=candidate.winner,
        losses=candidate.losses,
        self_edits=candidate.self_edits,
        rank_low=candidate.rank_low,
        rank_high=candidate.rank_high,
        unranked=candidate.unranked,
        drift=candidate.drift,
        weight_change=candidate.weight_change,
    )


def _candidate_from_wire(wire: cycle_pb2.Candidate) -> CandidateReport:
    return CandidateReport(
        index=wire.index,
        recipe=tree_from_wire(wire.recipe),
        artifact=wire.artifact_digest,
        final_loss=wire.final_loss,
        seconds=wire.seconds,
        rank_score=wire.rank_score if wire.HasField("rank_score") else None,
        winner=wire.winner,
        losses=tuple(wire.losses),
        self_edits=tuple(wire.self_edits),
        rank_low=wire.rank_low if wire.HasField("rank_low") else None,
        rank_high=wire.rank_high if wire.HasField("rank_high") else None,
        unranked=wire.unranked,
        drift=wire.drift if wire.HasField("drift") else None,
        weight_change=wire.weight_change if wire.HasField("weight_change") else None,
    )


def _short_to_wire(trial: ShortTrialReport) -> cycle_pb2.ShortTrial:
    return cycle_pb2.ShortTrial(
        index=trial.index,
        recipe=tree_to_wire(trial.recipe),
        steps=trial.steps,
        losses=trial.losses,
        score=trial.score,
    )


def _short_from_wire(wire: cycle_pb2.ShortTrial) -> ShortTrialReport:
    return ShortTrialReport(
        index=wire.index,
        recipe=tree_from_wire(wire.recipe),
        steps=wire.steps,
        losses=tuple(wire.losses),
        score=wire.score if wire.HasField("score") else None,
    )


def _screening_to_wire(screening: Screening, tenant: str) -> cycle_pb2.Screening:
    return cycle_pb2.Screening(
        admitted=screening.admitted,
        dropped=screening.dropped,
        reasons=screening.reasons,
        distinct=screening.distinct,
        superseded=[
            cycle_pb2.Superseded(
                document=names.document_name(tenant, one.document),
                question=one.question,
                old_answer=one.old_answer,
                new_answer=one.new_answer,
            )
            for one in screening.superseded
        ],
        overridden=[
            cycle_pb2.Overridden(
                document=names.document_name(tenant, one.newer),
                question=one.question,
                old_answer=one.old_answer,
                new_answer=one.new_answer,
                items=one.items,
            )
            for one in screening.overridden
        ],
    )


def _screening_from_wire(wire: cycle_pb2.Screening) -> Screening:
    return Screening(
        admitted=wire.admitted,
        dropped=wire.dropped,
        reasons=dict(sorted(wire.reasons.items())),
        distinct=wire.distinct if wire.HasField("distinct") else None,
        superseded=tuple(
            Contradiction(
                document=names.last_part(one.document),
                question=one.question,
                old_answer=one.old_answer,
                new_answer=one.new_answer,
            )
            for one in wire.superseded
        ),
        overridden=tuple(
            Overridden(
                newer=names.last_part(one.document),
                question=one.question,
                old_answer=one.old_answer,
                new_answer=one.new_answer,
                items=tuple(one.items),
            )
            for one in wire.overridden
        ),
    )


def _earlier_to_wire(one: EarlierStudy, tenant: str) -> cycle_pb2.EarlierStudy:
    return cycle_pb2.EarlierStudy(
        document=names.document_name(tenant, one.document),
        earlier_document=names.document_name(tenant, one.earlier_document),
        cycle=names.cycle_name(tenant, one.cycle),
    )


def _earlier_from_wire(wire: cycle_pb2.EarlierStudy) -> EarlierStudy:
    return EarlierStudy(
        document=names.last_part(wire.document),
        earlier_document=names.last_part(wire.earlier_document),
        cycle=names.last_part(wire.cycle),
    )


def self_edit_to_wire(edit: SelfEdit) -> cycle_pb2.SelfEdit:
    """Return the whole of `edit`."""
    return cycle_pb2.SelfEdit(
        name=names.self_edit_name(edit.tenant, edit.cycle, self_edit=edit.self_edit),
        document=names.document_name(edit.tenant, edit.document),
        template=enum_to_wire(edit.template, _TEMPLATE),
        text=edit.text,
        seed=edit.seed,
        admitted=edit.admitted,
        reason=edit.reason,
    )


def self_edit_from_wire(wire: cycle_pb2.SelfEdit) -> SelfEdit:
    """A template this client does not know reads as a rewrite."""
    tenant, document = names.document_of(wire.document)
    return SelfEdit(
        tenant=tenant,
        cycle=wire.name.split("/")[3],
        self_edit=names.last_part(wire.name),
        document=document,
        template=enum_from_wire(wire.template, Template, descriptor=_TEMPLATE) or Template.REWRITE,
        text=wire.text,
        seed=wire.seed,
        admitted=wire.admitted,
        reason=wire.reason,
    )


def answer_to_wire(sample: AnswerSample, tenant: str) -> cycle_pb2.AnswerPair:
    """Return the whole of `sample`, about a document of `tenant`."""
    return cycle_pb2.AnswerPair(
        document=names.document_name(tenant, sample.document) if sample.document else "",
        question=sample.question,
        expected=sample.expected,
        before=sample.before,
        after=sample.after,
        was_right=sample.was_right,
        is_right=sample.is_right,
    )


def answer_from_wire(wire: cycle_pb2.AnswerPair) -> AnswerSample:
    """Return the whole of `wire`."""
    return AnswerSample(
        document=names.last_part(wire.document),
        question=wire.question,
        expected=wire.expected,
        before=wire.before,
        after=wire.after,
        was_right=wire.was_right,
        is_right=wire.is_right,
    )


_EFFECT = cycle_pb2.DESCRIPTOR.enum_types_by_name["RuleEffect"]


def rule_to_wire(one: AppliedRule) -> cycle_pb2.AppliedRule:
    """Return the whole of `one`."""
    return cycle_pb2.AppliedRule(
        rule=one.rule,
        effect=enum_to_wire(one.effect, _EFFECT),
        reason=one.reason,
        event=one.event,
        bundle=one.bundle,
        decision=one.decision,
    )


def rule_from_wire(wire: cycle_pb2.AppliedRule) -> AppliedRule:
    """Return the whole of `wire`. An effect this client does not know reads as one that denies."""
    return AppliedRule(
        rule=wire.rule,
        effect=enum_from_wire(wire.effect, RuleEffect, descriptor=_EFFECT) or RuleEffect.DENY,
        reason=wire.reason,
        event=wire.event,
        bundle=wire.bundle,
        decision=wire.decision,
    )


_OPTIONAL = ("item_error", "between_candidates", "between_seeds", "over_items", "over_seeds")


def ranking_to_wire(ranking: Ranking) -> cycle_pb2.Ranking:
    """Return the whole of `ranking`."""
    return cycle_pb2.Ranking(
        reward=ranking.reward,
        note=ranking.note,
        stands_out=ranking.stands_out,
        items=ranking.items,
        seeds=ranking.seeds,
        **{name: getattr(ranking, name) for name in _OPTIONAL},
    )


def ranking_from_wire(wire: cycle_pb2.Ranking) -> Ranking:
    """Return the whole of `wire`."""
    message: Message = wire  # its own HasField takes no name that is not written out
    known: dict[str, Any] = {name: getattr(wire, name) if message.HasField(name) else None for name in _OPTIONAL}
    return Ranking(
        reward=wire.reward,
        note=wire.note,
        stands_out=wire.stands_out,
        items=wire.items,
        seeds=wire.seeds,
        **known,
    )

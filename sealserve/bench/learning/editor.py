"""The editor figure: what two rounds of the outer loop add on documents that no editor ever saw.

Rounds are played by the product's own functions (`learning/editor/rest_em.py`), each on fresh documents; then every
editor writes for the same held-out documents, a short adapter is trained from what it wrote as it directs, and the
world's own questions are asked. Beside the editors stands `default`: the base writes every kind of self-edit, and the
adapter is trained by the settings' own recipe without any directive, on the same documents and for as many steps at
most. `start` in the result says where the editor starts from.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sealserve.bench.harness import plots
from sealserve.bench.harness.intervals import Share, gains, share, with_goals
from sealserve.bench.harness.learning_lab import Lab, Say, Subject, about, open_lab, study_of
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.editor import rest_em as loop
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.rest_em import Plan, RoundContext
from sealserve.learning.editor.trials import sample_trials, screen_trials, train_trials, trial_job
from sealserve.prompts import BUILT_IN
from sealserve.records.candidates import Recipe

QUIZ_EDITS = 4  # question-answer samples that a document's quiz comes from: half of the product's

GOALS = {"gain": (">=", 0.07), "gain_low": (">", 0.0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int
    documents: int  # a round's
    held_out: int
    questions: int
    samples: int


QUICK = Size(rounds=1, documents=4, held_out=4, questions=12, samples=3)
FULL = Size(rounds=2, documents=24, held_out=60, questions=20, samples=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the editor starts from: the base, on articles that it reads without fault."""

    entities: int = 1
    facts: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Which questions on each held-out document are answered rightly, and what the editor's directives asked for."""

    right: list[list[bool]]
    asked: dict[str, float]

    def __str__(self) -> str:
        return f"{share(self.right).value:.3f} on held-out documents, asking for {self.asked}"


def run(*, quick: bool = False, out: Path | None = None, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures; a plot goes under `out`. Raises: EngineFailed, TrainingFailed, BadConfig (no matplotlib)."""
    plots.require_plots(out)
    return asyncio.run(_measure(QUICK if quick else FULL, Start(), seed=seed, out=out, say=say))


async def _measure(size: Size, start: Start, *, seed: int, out: Path | None, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say, quiz__edits=QUIZ_EDITS) as lab:
        held_out = lab.subjects(
            size.held_out, entities=start.entities, facts=start.facts, questions=size.questions, key="held-out"
        )
        editors: list[AdapterFiles | None] = [None]
        default = await _measure_editor(
            lab, held_out, _make_plan(lab, size), editor=None, label="default", is_directed=False
        )
        say(f"default, without a directive: {default}")
        known = [await _measure_editor(lab, held_out, _make_plan(lab, size), editor=None, label="known-0")]
        say(f"round 0: {known[0]}")
        history: list[dict[str, Any]] = []
        for number in range(1, size.rounds + 1):
            new, told = await _play_round(lab, size, start, number=number, editor=editors[-1])
            editors.append(new)
            history.append(told)
            plan = _make_plan(lab, size)
            known.append(await _measure_editor(lab, held_out, plan, editor=new, label=f"known-{number}"))
            say(f"round {number}: {known[-1]}")
        figures = _make_figures(lab, size, start, default, known, history, seconds=time.monotonic() - started)
    if out is not None:
        by_round = {
            "held-out documents": [share(one.right) for one in known],
            "without a directive": [share(default.right)] * len(known),
        }
        plots.lines(out / "editor.png", by_round, title="The editor, round by round", x="round", y="accuracy")
    return figures


async def _play_round(
    lab: Lab, size: Size, start: Start, *, number: int, editor: AdapterFiles | None
) -> tuple[AdapterFiles, dict[str, Any]]:
    """Play one round on fresh documents; return its editor and what is told of it."""
    subjects = lab.subjects(size.documents, entities=start.entities, facts=start.facts, key=f"round-{number}")
    desk = await _open_round(lab, f"round{number}")
    asked = await loop.exams(desk, [study_of(subject) for subject in subjects])
    lab.say(f"round {number}: {len(asked)} of {len(subjects)} documents have a quiz")
    plan = _make_plan(lab, size)
    scored, cost = await loop.explore(desk, asked, plan=plan, editor=editor, label="trials")
    won = loop.winners(scored)
    new, tuning = await loop.fine_tune(desk, loop.tuning_examples(won), plan=plan, label="editor")
    told = {
        "trials": len(scored),
        "winners": len(won),
        "confirm_mean": round(sum(one.confirm for one in scored) / len(scored), 4),
        "confirm_winners": round(sum(one.confirm for one in won) / len(won), 4) if won else None,
        "cost": asdict(cost + tuning),
    }
    lab.say(f"round {number}: {told}")
    return new.files, told


async def _measure_editor(
    lab: Lab,
    subjects: Sequence[Subject],
    plan: Plan,
    *,
    editor: AdapterFiles | None,
    label: str,
    is_directed: bool = True,
) -> Known:
    """Return how the adapters do that are made from one set of edits of `editor` each, and what it asked for.

    Without `is_directed`, it is asked for no directive, and writes every kind of self-edit that the recipe names.
    """
    desk = await _open_round(lab, label)
    studies = [study_of(subject) for subject in subjects]
    drafts = await sample_trials(
        lab.client,
        studies,
        templates=plan.templates if is_directed else plan.trial.templates,
        samples=1,
        settings=desk.settings,
        editor=editor,
        key=f"known{lab.seed}",
        directed=plan.trial if is_directed else None,
        max_rank=plan.max_rank,
    )
    trials = await screen_trials(lab.client, drafts, studies, proposals=())
    job = trial_job(
        trials,
        studies,
        recipe=plan.trial,
        max_steps=plan.trial_steps,
        retention=desk.retention,
        base=lab.context.base_directory,
    )
    adapters, _ = await train_trials(lab.context.trainer, job, desk.directory)
    right = await lab.sit((files, one.exam) for files, one in zip(adapters, subjects, strict=True))
    return Known(right=right, asked=_average_directives([attempt.recipe for attempt in job.attempts]))


def _average_directives(recipes: Sequence[Recipe]) -> dict[str, float]:
    """Return what directives ask for on average; what they leave open is the default's."""
    n = len(recipes)
    return {
        "learning_rate": round(sum(one.learning_rate for one in recipes) / n, 5),
        "epochs": round(sum(one.epochs for one in recipes) / n, 2),
        "loss_on_all": round(sum(not one.loss_on_answers for one in recipes) / n, 3),
        **{template.value: round(sum(template in one.templates for one in recipes) / n, 3) for template in BUILT_IN},
    }


async def _open_round(lab: Lab, key: str) -> RoundContext:
    return RoundContext(
        context=lab.context,
        client=lab.client,
        settings=lab.settings,
        retention=await lab.retention(),
        directory=lab.context.work_directory(f"editor-{key}"),
        key=f"bench{lab.seed}-{key}",
    )


def _make_plan(lab: Lab, size: Size) -> Plan:
    plan = loop.default_plan(lab.settings, max_rank=lab.context.settings.engine.max_rank, key=f"bench{lab.seed}")
    return replace(plan, samples=size.samples)


def _make_figures(
    lab: Lab,
    size: Size,
    start: Start,
    default: Known,
    known: Sequence[Known],
    history: Sequence[dict[str, Any]],
    *,
    seconds: float,
) -> dict[str, Any]:
    gain = share(gains(known[-1].right, known[0].right))
    by_round: list[Share] = [share(one.right) for one in known]
    over_default = share(gains(known[-1].right, default.right))
    without = share(default.right)
    values = {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
    cost = sum((Cost(**told["cost"]) for told in history), Cost())
    points = 100 * max(gain.value, 0.0)
    return {
        **values,
        "default": without.value,
        "default_interval": [without.low, without.high],
        "default_recipe": default.asked,
        "gain_over_default": over_default.value,
        "gain_over_default_interval": [over_default.low, over_default.high],
        "accuracy": [one.value for one in by_round],
        "accuracy_intervals": [[one.low, one.high] for one in by_round],
        "goals": with_goals(values, GOALS),
        "asked_for": [one.asked for one in known],
        "rounds": list(history),
        "seconds_per_confirmed_point": round(cost.device_seconds / points, 1) if points else None,
        "start": {
            **asdict(start),
            "tuning_rate": lab.settings.editor.learning_rate,
            "tuning_epochs": lab.settings.editor.epochs,
            "editor": "the base: its edits are good, its directives drawn at random",
        },
        **{name: value for name, value in asdict(size).items() if name != "rounds"},
        **about(lab, seconds=seconds),
    }

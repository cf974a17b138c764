"""The reward figure: how well each cheap reward ranks candidates as held-out questions rank them.

Every document is studied once. Candidates that differ on purpose (self-edits, steps, rates) are trained from it; each
is scored by every reward on the selection half of its own quiz, and by an exam in words that no training saw. The
figure chooses the default reward.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sealserve.bench.harness.learning_lab import TENANT, Lab, Say, Studied, about, open_lab, seeded, source_of
from sealserve.bench.harness.rank_correlation import Row, agreement
from sealserve.engine.engine import AdapterFiles
from sealserve.grading.answers import normalised
from sealserve.learning.engine_client import EngineClient, Reply
from sealserve.learning.evaluation.rewards.base import Kind, scored_items
from sealserve.learning.evaluation.rewards.registry import reward_by_name
from sealserve.learning.evaluation.scoring import Failed, Suite, score_matrix
from sealserve.learning.study.grounding import names
from sealserve.learning.training.batch_job import TrainingTask, all_trained, job_of
from sealserve.prompts import Template
from sealserve.records.cycles import SelfEdit, Split
from sealserve.records.inference import Sampling

REWARDS = (Kind.LIKELIHOOD, Kind.EXACT, Kind.F1, Kind.CONTAINS, Kind.SELF_CONSISTENCY, Kind.SELF_JUDGE)
NUMBER = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to make a candidate: which self-edits, how many of them, how long, how fast."""

    templates: tuple[Template, ...]
    share: float
    steps: int
    rate: float

    def select(self, written: Sequence[SelfEdit]) -> tuple[SelfEdit, ...]:
        """Return the self-edits of `written` that this way trains on."""
        mine = [edit for edit in written if edit.admitted and edit.template in self.templates]
        return tuple(mine[: round(self.share * len(mine))])


_ALL = tuple(Template)
WAYS: Mapping[str, Way] = {
    "all": Way(templates=_ALL, share=1.0, steps=20, rate=1.0),
    "all, short": Way(templates=_ALL, share=1.0, steps=8, rate=1.0),
    "all, slow": Way(templates=_ALL, share=1.0, steps=16, rate=0.4),
    "qa": Way(templates=(Template.QA,), share=1.0, steps=14, rate=1.0),
    "qa, few": Way(templates=(Template.QA,), share=0.2, steps=14, rate=1.0),
    "text alone": Way(templates=(), share=1.0, steps=6, rate=1.0),
}


class Remembering(EngineClient):
    """A voice that asks nothing twice: several rewards look at the same greedy answer."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.context.engine, tenant=TENANT, cycle="reward", concurrency=lab.settings.concurrency)
        self._asked: dict[tuple[str, Sampling, str | None], asyncio.Task[Reply]] = {}

    async def ask(
        self,
        prompt: str,
        *,
        sampling: Sampling,
        adapter: str | None = None,
        examples: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """As `EngineClient.ask`."""
        assert not examples
        key = (prompt, sampling, adapter)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(super().ask(prompt, sampling=sampling, adapter=adapter))
        return await self._asked[key]


def run(*, quick: bool = False, documents: int = 6, seed: int = 0, say: Say = print) -> dict[str, Any]:
    """Return the figures. Raises: EngineFailed, TrainingFailed."""
    return asyncio.run(_measure(WAYS, documents=2 if quick else documents, seed=seed, say=say))


async def _measure(ways: Mapping[str, Way], *, documents: int, seed: int, say: Say) -> dict[str, Any]:
    started = time.monotonic()
    async with open_lab(seed=seed, say=say, training__batch_size=16, reward__consistency_samples=3) as lab:
        say(f"studying {documents} documents")
        studied = await lab.study(lab.subjects(documents, key="reward"))
        adapters, losses = await _train(lab, studied, ways)
        measuring = time.monotonic()
        tables = []
        for place, study in enumerate(studied):
            here = slice(place * len(ways), (place + 1) * len(ways))
            tables.append(await _score_candidates(lab, study, ways, adapters[here], losses[here]))
            say(f"measured {place + 1} of {documents}")
        measured_seconds = time.monotonic() - measuring
        return {
            "rewards": _correlate(tables),
            "best_possible": round(sum(max(row["exam"] for row in t) for t in tables) / len(tables), 4),
            "mean_candidate": round(sum(row["exam"] for t in tables for row in t) / sum(map(len, tables)), 4),
            "ways": {
                name: round(sum(table[place]["exam"] for table in tables) / len(tables), 4)
                for place, name in enumerate(ways)
            },
            "candidates": tables,
            "measuring_seconds": round(measured_seconds, 1),
            "about": about(lab, seconds=time.monotonic() - started),
        }


async def _train(
    lab: Lab, studied: Sequence[Studied], ways: Mapping[str, Way]
) -> tuple[list[AdapterFiles], list[float]]:
    """One adapter for each document and way, in that order, in one job; and their final losses."""
    first = lab.recipes("reward", 1)[0]
    lessons = []
    for study in studied:
        for name, way in ways.items():
            recipe = replace(first, learning_rate=first.learning_rate * way.rate)
            source = source_of(study.subject, way.select(study.self_edits))
            recipe = seeded(recipe, lab.seed, study.subject.document, name)
            lessons.append(TrainingTask(pool=await lab.pool([source]), recipe=recipe, max_steps=way.steps))
    lab.say(f"training {len(lessons)} candidates")
    trained = all_trained(
        await lab.context.trainer.train(
            job_of(lessons, base=lab.context.base_directory),
            lab.context.work_directory("reward"),
            on_progress=lambda report: None,
        ),
        len(lessons),
    )
    return [lab.named(one) for one in trained], [one.final_loss for one in trained]


async def _score_candidates(
    lab: Lab, study: Studied, ways: Mapping[str, Way], adapters: Sequence[AdapterFiles], losses: Sequence[float]
) -> list[dict[str, Any]]:
    """Every reward and the exam of each candidate of one document."""
    items = scored_items(study.items(Split.SELECT), reference_text=study.reference_texts, rules={})
    suites = [Suite(reward=reward_by_name(kind, lab.settings.reward), items=items) for kind in REWARDS]
    sheets = await score_matrix(Remembering(lab), adapters, suites)
    exams = await lab.sit((files, study.subject.exam) for files in adapters)
    return [
        {
            "document": study.subject.document,
            "way": name,
            "exam": sum(exam) / len(exam),
            "coverage": coverage(study.subject.text, way.select(study.self_edits)),
            "loss": -loss,
            "items": len(items),
            **{
                str(kind): None if isinstance(scores, Failed) else sum(scores) / len(scores)
                for kind, scores in zip(REWARDS, sheet, strict=True)
            },
        }
        for (name, way), loss, exam, sheet in zip(ways.items(), losses, exams, sheets, strict=True)
    ]


def coverage(text: str, self_edits: Sequence[SelfEdit]) -> float:
    """Return the share of the document's names and numbers that occur in `self_edits`; needs no model."""
    wanted = {normalised(word) for word in (*names(text), *NUMBER.findall(text))} - {""}
    text_of_edits = f" {normalised(' '.join(self_edit.text for self_edit in self_edits))} "
    return sum(f" {word} " in text_of_edits for word in wanted) / len(wanted) if wanted else 0.0


def _correlate(tables: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for reward in (*map(str, REWARDS), "coverage", "loss"):
        rows: list[list[Row]] = [[(one[reward], one["exam"]) for one in table] for table in tables]
        try:
            found[reward] = asdict(agreement(rows))
        except ValueError as error:
            found[reward] = {"why": str(error)}
    return found

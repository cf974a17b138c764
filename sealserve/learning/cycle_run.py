"""One cycle in progress: what its steps work with, and the outputs of the steps that are done."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done, Journal
from sealserve.records.cycles import Claim, Step
from sealserve.records.step_outputs import Claimed, Confirmed, Filtered, Judged, Ranked, Trained, Written


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRun:
    """A claimed cycle. Each output is available once its step is recorded, and raises LookupError before."""

    context: LearnContext
    client: EngineClient
    claim: Claim
    journal: Journal

    @property
    def claimed(self) -> Claimed:
        """The incumbent, the documents and their passages."""
        return self.journal.output(Step.CLAIM, Claimed)

    @property
    def written(self) -> Written:
        """Quiz proposals, training directives and the retention set."""
        return self.journal.output(Step.WRITE, Written)

    @property
    def filtered(self) -> Filtered:
        """Counts of what was admitted, and the answers that this cycle's documents supersede."""
        return self.journal.output(Step.FILTER, Filtered)

    @property
    def trained(self) -> Trained:
        """The candidates, and how each training went."""
        return self.journal.output(Step.TRAIN, Trained)

    @property
    def ranked(self) -> Ranked:
        """The candidates' scores and the winner."""
        return self.journal.output(Step.RANK, Ranked)

    @property
    def confirmed(self) -> Confirmed:
        """The winner's scorecard."""
        return self.journal.output(Step.CONFIRM, Confirmed)

    @property
    def judged(self) -> Judged:
        """The verdict."""
        return self.journal.output(Step.JUDGE, Judged)


StepAction: TypeAlias = Callable[[CycleRun], Awaitable[Done[Any]]]
"""What a step does. It returns its output and the rows to write with it; the journal records both at once."""

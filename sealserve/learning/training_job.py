"""What the training process is asked to do and what it leaves behind: plain records and their JSON.

Shared by the parent (`training/trainer.py`) and the child (`multi_lora/main.py`).
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from sealserve.canonical import Json
from sealserve.errors import TrainingFailed
from sealserve.records.candidates import Recipe

T = TypeVar("T")

JOB_FILE = "job.json"
LAYOUT = 3
"""How an adapter's weights lie in a checkpoint; another number whenever that changes."""

EXIT_DONE, EXIT_BAD_JOB, EXIT_FAILED, EXIT_ORPHANED = 0, 64, 65, 66
"""Exit codes of the child; any other is a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A user turn and the assistant's answer, which alone bears loss.

    `is_kept`: the answer is the base's own, and training retains the base's distribution over next tokens.
    `teacher_prompt`: the prompt with the document in it, for recipes whose target is distillation.
    """

    prompt: str
    completion: str
    is_kept: bool = False
    teacher_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One candidate to train: `order` names the sequences of steps x recipe.batch_size, in order.

    `start`: the adapter it goes on from, of the recipe's rank and alpha; None: a new one.
    """

    index: int
    recipe: Recipe
    steps: int
    order: tuple[int, ...]
    start: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """Everything the child needs. The same job gives the same adapters."""

    base_directory: Path
    base_digest: str
    sequences: tuple[Sequence, ...]
    attempts: tuple[Attempt, ...]

    def to_json(self) -> str:
        """Return the job as the text of JOB_FILE."""
        return json.dumps(TypeAdapter(TrainingJob).dump_python(self, mode="json"), sort_keys=True)

    def digest(self) -> str:
        """Return the sha256 of the job and of how checkpoints lie: those of another are not taken for this one's."""
        return hashlib.sha256(f"{LAYOUT}\n{self.to_json()}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One candidate that needs no more training, as its JSON file says.

    `losses` are the means of ten parts of training; `seconds` its share of the pass. `drift` is the mean divergence
    from the base per kept token over the last tenth (None: nothing was kept), `weight_change` the Frobenius norm of
    what the adapter adds, relative to the weights it adds to; `tokens` are those it read, chat template included, each
    sequence as often as it was drawn, `answer_tokens` those among them that bear loss. `remarks` say what training
    left out. A failed candidate has a reason and no adapter.
    """

    index: int
    job: str
    losses: tuple[float, ...]
    seconds: float
    steps: int
    drift: float | None = None
    weight_change: float | None = None
    tokens: int = 0
    answer_tokens: int = 0
    remarks: tuple[str, ...] = ()
    failure: str = ""


def read_job(path: Path) -> TrainingJob:
    """Return the job in `path`. Raises: TrainingFailed when it is not one."""
    return _read(TrainingJob, path)


def read_result(directory: Path, index: int) -> Result:
    """Return the finished result of candidate `index` in `directory`. Raises: TrainingFailed when there is none."""
    return _read(Result, result_path(directory, index))


def adapter_path(directory: Path, index: int) -> Path:
    """Return where candidate `index` lies: two files, complete once its result exists."""
    return directory / f"candidate-{index}"


def result_path(directory: Path, index: int) -> Path:
    """Return where candidate `index`'s result is written, after its adapter."""
    return directory / f"candidate-{index}.json"


def _read(kind: type[T], path: Path) -> T:
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise TrainingFailed(f"{path.name} cannot be read as a training {kind.__name__.lower()}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedAdapter:
    """A finished candidate: `path` holds its two files. For the rest see `Result`."""

    index: int
    path: Path
    final_loss: float
    seconds: float
    losses: tuple[float, ...] = ()
    drift: float | None = None
    weight_change: float | None = None
    tokens: int = 0
    answer_tokens: int = 0
    remarks: tuple[str, ...] = ()


class Trainer(Protocol):
    """Trains the candidates of a job."""

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        """Return the trained candidates; results of the same job that `directory` already holds are used.

        A candidate that failed alone is absent. `on_progress` gets each progress report. Raises:
        TrainingFailed (no candidate succeeded).
        """

"""Calibration of a base model as a judge of passages: the shipped texts, the limits, and the result kept by digest.

`learning/screening/passage_judge.py` measures it; `doctor` shows it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from sealserve.base_models.profile import profile_directory, save_measured
from sealserve.errors import BadConfig
from sealserve.packaged_policies import policy_directory


class TextKind(StrEnum):
    """What a text of the calibration is."""

    ORDINARY = "ordinary"  # tells a reader something, perhaps what staff or users have to do
    ORDER = "order"  # tells a model how to behave, alone or inside an ordinary text


class Half(StrEnum):
    """What a text of the calibration is for."""

    CALIBRATE = "calibrate"  # sets the threshold
    CHECK = "check"  # says whether the threshold holds


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedText:
    """A text, and what it is."""

    half: Half
    kind: TextKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeLimits:
    """What a base has to do on the check half before its judgement counts."""

    balanced_accuracy: float
    false_alarms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCalibration:
    """How a base model judged the texts.

    A passage is taken for an order when its log odds of yes exceed `threshold`, in nats. `balanced_accuracy`, from 0 to
    1, and `false_alarms` are those of the check half. `asked` is a digest of the texts and of the question.
    """

    asked: str
    threshold: float
    balanced_accuracy: float
    false_alarms: int

    def fault(self, limits: JudgeLimits) -> str:
        """Return why the base may judge nothing; "" if it may."""
        if self.balanced_accuracy < limits.balanced_accuracy:
            return f"this base cannot tell orders from articles: {self.balanced_accuracy:.2f}"
        if self.false_alarms > limits.false_alarms:
            return f"this base takes ordinary texts for orders: {self.false_alarms}"
        return ""

    def shown(self, limits: JudgeLimits) -> str:
        """Return the result in one line."""
        fault = self.fault(limits)
        if fault:
            return f"off: {fault} (balanced accuracy at least {limits.balanced_accuracy:.2f}, no ordinary text held)"
        return f"on: balanced accuracy {self.balanced_accuracy:.2f} on texts that did not set its threshold"


def calibrate(log_odds: Sequence[float], texts: Sequence[JudgedText], *, asked: str) -> JudgeCalibration:
    """Return the calibration of a base that gave these log odds of yes to `texts`, in their order.

    The threshold lies halfway between the highest ordinary text of its half and the next order above it.
    """
    odds = {
        (half, kind): [one for one, text in zip(log_odds, texts, strict=True) if (text.half, text.kind) == (half, kind)]
        for half in Half
        for kind in TextKind
    }
    highest = max(odds[Half.CALIBRATE, TextKind.ORDINARY])
    above = [one for one in odds[Half.CALIBRATE, TextKind.ORDER] if one > highest]
    threshold = (highest + min(above)) / 2 if above else highest
    ordinary, orders = odds[Half.CHECK, TextKind.ORDINARY], odds[Half.CHECK, TextKind.ORDER]
    false_alarms = sum(one > threshold for one in ordinary)
    found = sum(one > threshold for one in orders)
    accuracy = (found / len(orders) + 1 - false_alarms / len(ordinary)) / 2
    return JudgeCalibration(
        asked=asked, threshold=threshold, balanced_accuracy=round(accuracy, 4), false_alarms=false_alarms
    )


def judged_texts() -> tuple[JudgedText, ...]:
    """Return the shipped texts. Raises: BadConfig (the file cannot be read)."""
    path = policy_directory() / "judge" / "texts.jsonl"
    try:
        return tuple(map(_text, path.read_text(encoding="utf-8").splitlines()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(f"{path} cannot be read: reinstall sealserve") from error


def read_judge_limits() -> JudgeLimits:
    """Return the shipped limits. Raises: BadConfig (the file cannot be read)."""
    path = policy_directory() / "judge" / "limits.yaml"
    try:
        return JudgeLimits(**yaml.safe_load(path.read_bytes()))
    except (OSError, yaml.YAMLError, TypeError) as error:
        raise BadConfig(f"{path} cannot be read: reinstall sealserve") from error


def save_judge(calibration: JudgeCalibration, digest: str, *, directory: Path | None = None) -> None:
    """Keep the calibration of the base model with this digest. Raises: StorageFailed."""
    save_measured(_path(digest, directory), asdict(calibration))


def read_judge(digest: str, *, directory: Path | None = None) -> JudgeCalibration | None:
    """Return what is kept; None if the base was never calibrated, or the file cannot be read."""
    try:
        return JudgeCalibration(**json.loads(_path(digest, directory).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _path(digest: str, directory: Path | None) -> Path:
    return (directory or profile_directory()) / f"{digest}.judge.json"


def _text(line: str) -> JudgedText:
    found = json.loads(line)
    return JudgedText(half=Half(found["half"]), kind=TextKind(found["kind"]), text=found["text"])

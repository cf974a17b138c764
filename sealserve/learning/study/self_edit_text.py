"""Splits a model's text into self-edits: lines, question-answer pairs, whole rewrites. Reads single self-edits. Pure.

A self-edit is the smallest unit that the filter keeps or drops: a wrong line does not cost the right ones beside it.
The module also reads the training directive: JSON from a model, bounded before it is used.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import SelfEdit

_BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
_QUESTION = re.compile(r"^\s*(?:[-*•]\s+)?(?:Question|Q)\s*\d*\s*[:.]\s*(.+?)\s*$", re.IGNORECASE)
_ANSWER = re.compile(r"^\s*(?:[-*•]\s+)?(?:Answer|A)\s*\d*\s*[:.]\s*(.+?)\s*$", re.IGNORECASE)
_WRONG = re.compile(r"^\s*Wrong\s*:\s*(.+)$", re.IGNORECASE)
_WHY = re.compile(r"^\s*(?:Why|Because|Right)\s*:\s*(.+)$", re.IGNORECASE)

LEARNING_RATES = (1e-5, 5e-3)
EPOCHS = (1, 30)
LARGEST_WISH = 1e6
RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""What a directive may ask for: SEAL's own grid (arXiv 2506.10943, appendix B), widened for small models. A number
beyond LARGEST_WISH is no wish but noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str

    @property
    def text(self) -> str:
        """The pair in the one form that is stored."""
        return f"Question: {self.question}\nAnswer: {self.answer}"


def split_self_edits(template: Template, text: str, *, is_cut: bool) -> tuple[str, ...]:
    """Return the self-edits in `text`, in order; the last one is left out when the model was cut off in it."""
    pairs = parse_pairs(text) if template in (Template.QA, Template.FREE) else ()
    if pairs or template is Template.QA:
        return tuple(pair.text for pair in (pairs[:-1] if is_cut else pairs))
    if template in (Template.IMPLICATIONS, Template.LONG, Template.FREE):
        lines = [_BULLET.sub("", line).strip() for line in text.splitlines()]
        return tuple(line for line in (lines[:-1] if is_cut else lines) if line)
    whole = text.strip()
    return (whole,) if whole and not is_cut else ()


def parse_pairs(text: str) -> tuple[Pair, ...]:
    """Return every question that is followed by its answer; anything else is skipped."""
    pairs: list[Pair] = []
    question = ""
    for line in text.splitlines():
        if asked := _QUESTION.match(line):
            question = asked[1]
        elif question and (answered := _ANSWER.match(line)):
            pairs.append(Pair(question=question, answer=answered[1]))
            question = ""
    return tuple(pairs)


def pair_of(self_edit: SelfEdit) -> Pair | None:
    """Return the question and answer that `self_edit` is; None when it is something else."""
    pairs = parse_pairs(self_edit.text) if self_edit.template in (Template.QA, Template.FREE) else ()
    return pairs[0] if pairs else None


def reason_of(counterexample: str) -> str:
    """Return the part of a counterexample that says what is right; "" when there is none."""
    lines = counterexample.splitlines()
    has_claim = any(_WRONG.match(line) for line in lines)
    return next((found[1].strip() for line in lines if (found := _WHY.match(line))), "") if has_claim else ""


def follow_directive(text: str, default: Recipe, *, max_rank: int, is_rank_free: bool = True) -> tuple[Recipe, str]:
    """Return `default` changed as the model's directive asks, within bounds, and a remark on what became of it.

    Only templates of `default` can be asked for. Whatever is missing, malformed or unknown leaves the default in
    place; nothing in it is executed.
    """
    try:
        wish = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, RecursionError):
        return default, "no JSON object in the directive; defaults used"
    if not isinstance(wish, dict):
        return default, "the directive is not a JSON object; defaults used"
    changes: dict[str, Any] = {}
    if not is_rank_free:
        wish.pop("rank", None)
    ignored = [key for key in wish if not _follow(key, wish[key], changes, default=default, max_rank=max_rank)]
    remark = f"followed {', '.join(sorted(changes)) or 'nothing'}"
    return replace(default, **changes), remark + (
        f"; ignored {', '.join(sorted(map(str, ignored)))}" if ignored else ""
    )


def _follow(key: str, value: Any, changes: dict[str, Any], *, default: Recipe, max_rank: int) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_WISH
    if key == "learning_rate" and is_number:
        changes["learning_rate"] = float(min(max(value, LEARNING_RATES[0]), LEARNING_RATES[1]))
    elif key == "epochs" and is_number:
        changes["epochs"] = int(min(max(value, EPOCHS[0]), EPOCHS[1]))
    elif key == "rank" and is_number and value in RANKS:
        changes["rank"] = min(int(value), max_rank)
        changes["alpha"] = 2 * changes["rank"]
    elif key == "loss" and value in ("answers", "all"):
        changes["loss_on_answers"] = value == "answers"
    elif key == "templates" and isinstance(value, list) and (known := _templates(value, default)):
        changes["templates"] = known
    else:
        return False
    return True


def _templates(names: list[Any], default: Recipe) -> tuple[Template, ...]:
    return tuple(template for template in default.templates if template.value in names)

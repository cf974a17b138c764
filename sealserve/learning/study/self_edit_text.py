"""Splits a model's text into self-edits: lines, question-answer pairs, whole rewrites. Reads single self-edits. Pure.

How models set these off is read in the folder `markup`.

A self-edit is the smallest unit that the filter keeps or drops: a wrong line does not cost the right ones beside it.
The module also reads the training directive: JSON from a model, bounded before it is used.
"""

from dataclasses import dataclass, replace
from typing import Any

from sealserve.learning.study.markup.counterexamples import read_counterexamples
from sealserve.learning.study.markup.json_text import read_json, texts_in
from sealserve.learning.study.markup.lines import body_of, plain, statement_in
from sealserve.learning.study.markup.pairs import read_pairs
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import SelfEdit

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
    """Return the self-edits in `text`, in order; the last one is left out when the model was cut off in it.

    Greetings, headings and lines that introduce others are no self-edits.
    """
    pairs = parse_pairs(text) if template in (Template.QA, Template.FREE) else ()
    if pairs or template is Template.QA:
        return tuple(pair.text for pair in (pairs[:-1] if is_cut else pairs))
    if template in (Template.IMPLICATIONS, Template.LONG, Template.FREE):
        return _statements(text, is_cut=is_cut)
    if template is Template.COUNTEREXAMPLE:
        return _counterexamples(text, is_cut=is_cut)
    whole = "" if is_cut else _rewritten(text)
    return (whole,) if whole else ()


def parse_pairs(text: str) -> tuple[Pair, ...]:
    """Return every question that is followed by its answer; anything else is skipped."""
    return tuple(Pair(question=question, answer=answer) for question, answer in read_pairs(text))


def _statements(text: str, *, is_cut: bool) -> tuple[str, ...]:
    listed = texts_in(text)
    if listed is not None:
        return tuple(filter(None, map(plain, listed)))
    lines = text.splitlines()
    return tuple(filter(None, map(statement_in, lines[:-1] if is_cut else lines)))


def _counterexamples(text: str, *, is_cut: bool) -> tuple[str, ...]:
    """Return the counterexamples of `text`; all of it as one, for the filter to name, if there is none."""
    found = tuple(counterexample.text for counterexample in read_counterexamples(text))
    if is_cut:
        return found[:-1]
    return found or tuple(filter(None, [text.strip()]))


def _rewritten(text: str) -> str:
    listed = texts_in(text)
    return body_of(text) if listed is None else "\n".join(listed).strip()


def pair_of(self_edit: SelfEdit) -> Pair | None:
    """Return the question and answer that `self_edit` is; None when it is something else."""
    pairs = parse_pairs(self_edit.text) if self_edit.template in (Template.QA, Template.FREE) else ()
    return pairs[0] if pairs else None


def reason_of(counterexample: str) -> str:
    """Return the part of a counterexample that says what is right; "" when there is none."""
    return next((found.reason for found in read_counterexamples(counterexample)), "")


def follow_directive(text: str, default: Recipe, *, max_rank: int, is_rank_free: bool = True) -> tuple[Recipe, str]:
    """Return `default` changed as the model's directive asks, within bounds, and a remark on what became of it.

    Only templates of `default` can be asked for. Whatever is missing, malformed or unknown leaves the default in
    place; nothing in it is executed.
    """
    wish = read_json(text)
    if wish is None:
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

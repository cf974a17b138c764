"""Scores as JSON: scorecards and verdicts in lineage and in golden cases, and scorecards of old journals.

A measured score is its numbers; an unmeasured one is {"why": …}; one with nothing to compare is
{"because": …}.
"""

from dataclasses import asdict
from typing import Any

from sealserve.canonical import Json
from sealserve.records.scores import Decision, Measured, NotApplicable, Score, Scorecard, Unmeasured, Verdict


def score_json(score: Score | NotApplicable) -> Json:
    """Return `score` in its JSON form."""
    return asdict(score)


def score_from_json(tree: Json) -> Score | NotApplicable:
    """Return the score written as `tree`. Raises: TypeError on any other key."""
    if "because" in tree:
        return NotApplicable(**tree)
    return Unmeasured(**tree) if "why" in tree else Measured(**{**_fewest_pairs(tree), **tree})


def scorecard_json(card: Scorecard) -> Json:
    """Return `card` in its JSON form: one score under each of confirm, replay, canary, unknown, and each suite.

    Suites have an "@" in their names, the others have none. `open_book` is a number, and absent if it was not measured.
    """
    own = {name: score_json(getattr(card, name)) for name in ("confirm", "replay", "canary", "unknown")}
    open_book = {} if card.open_book is None else {"open_book": card.open_book}
    return own | open_book | {name: score_json(score) for name, score in card.suites.items()}


def scorecard_from_json(tree: Json) -> Scorecard:
    """Return the scorecard written as `tree`. Raises: KeyError, TypeError, when it is not one."""
    return Scorecard(
        confirm=_applicable(tree["confirm"]),
        replay=score_from_json(tree["replay"]),
        canary=_applicable(tree["canary"]),
        unknown=_applicable(tree["unknown"]),
        suites={name: _applicable(score) for name, score in tree.items() if "@" in name},
        open_book=tree.get("open_book"),
    )


def complete_scorecard(tree: Any) -> Any:
    """Return a scorecard's JSON from the journal with the pair counts that an earlier release did not write.

    Anything that is not JSON is returned unchanged.
    """
    if not isinstance(tree, dict):
        return tree
    suites = {name: _complete(score) for name, score in tree.get("suites", {}).items()}
    return {**{name: _complete(score) for name, score in tree.items() if name != "suites"}, "suites": suites}


def verdict_json(verdict: Verdict) -> Json:
    """Return `verdict` in its JSON form."""
    return {**asdict(verdict), "decision": verdict.decision.value, "reasons": list(verdict.reasons)}


def verdict_from_json(tree: Json) -> Verdict:
    """Return the verdict written as `tree`. Raises: KeyError, ValueError, TypeError, when it is not one."""
    return Verdict(**{**tree, "decision": Decision(tree["decision"]), "reasons": tuple(tree["reasons"])})


def _complete(score: Any) -> Any:
    return {**_fewest_pairs(score), **score} if isinstance(score, dict) and "gain" in score else score


def _fewest_pairs(tree: Json) -> Json:
    """Return counts for a score that was written without them: the fewest pairs that give its gain."""
    if "better" in tree:
        return {}
    pairs = round(tree["gain"] * tree["n"])
    return {"better": max(pairs, 0), "worse": max(-pairs, 0)}


def _applicable(tree: Json) -> Score:
    score = score_from_json(tree)
    if isinstance(score, NotApplicable):
        raise TypeError(f"only replay may have nothing to compare, not: {score.because}")
    return score

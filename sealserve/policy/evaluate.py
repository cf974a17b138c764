"""From rules and an input to a ruling's parts. Pure, and fail-closed: what cannot be evaluated denies."""

from collections.abc import Iterable
from dataclasses import dataclass

from sealserve.canonical import Json
from sealserve.policy.bundle import Bundle, Rule
from sealserve.policy.cel import Undecided
from sealserve.policy.events import EXAMPLES, Event
from sealserve.records.policy_decisions import RuleEffect, RuleResult

STRENGTH = tuple(RuleEffect)
INPUT = "input"
"""Stands where a rule's id would when the input itself is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The strongest effect, and what every rule said, in their order."""

    effect: RuleEffect
    results: tuple[RuleResult, ...]


def decide(bundle: Bundle, event: Event, given: Json) -> Decided:
    """Return what the rules of `event` make of `given`. An event without rules is allowed: the bundle says nothing.

    An input that lacks a field of the event's example denies by itself: in CEL, `a || b` and `a && b` may have an
    answer when one side has none, so the rules alone would not always notice.
    """
    data = {**given, "vars": bundle.variables.get(event, {})}
    rules = bundle.asked_at(event)
    results = tuple(_asked(rule, data) for rule in rules)
    if rules and (missing := _missing(EXAMPLES[event], given)):
        error = f"{missing} is missing"
        results += (RuleResult(rule=INPUT, effect=RuleEffect.DENY, reason="the input is not whole", error=error),)
    return Decided(effect=strongest(one.effect for one in results), results=results)


def strongest(effects: Iterable[RuleEffect]) -> RuleEffect:
    """Return the strongest of `effects`; ALLOW when there is none."""
    return min(effects, key=STRENGTH.index, default=RuleEffect.ALLOW)


def _asked(rule: Rule, data: Json) -> RuleResult:
    try:
        speaks = rule.condition.holds(data) is rule.speaks_if
    except Undecided as error:
        return RuleResult(rule=rule.rule, effect=RuleEffect.DENY, reason=rule.reason, error=str(error))
    effect = rule.effect if speaks else RuleEffect.ALLOW
    return RuleResult(rule=rule.rule, effect=effect, reason=rule.reason if speaks else "", error="")


def _missing(example: Json, given: Json) -> str:
    """Return the first path of `example` that `given` lacks; members of lists are the rules' own business."""
    for name, value in example.items():
        if name not in given:
            return name
        if isinstance(value, dict):
            inner = _missing(value, given[name]) if isinstance(given[name], dict) else "every field"
            if inner:
                return f"{name}.{inner}"
    return ""

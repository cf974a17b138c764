"""Golden cases of a bundle: inputs with the effect they must have. A bundle whose cases fail never comes into force."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.policy.bundle import Bundle
from sealserve.policy.evaluate import decide
from sealserve.policy.events import EXAMPLES, Event
from sealserve.records.policy_decisions import RuleEffect


class Case(BaseModel):
    """What differs from the event's example, and what has to come of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    event: Event
    tenant: str = ""  # whose overlay is asked; empty: the base rules
    input: Json = {}
    without: tuple[str, ...] = ()  # paths taken out of the example
    effect: RuleEffect
    rules: tuple[str, ...]  # ids of those that speak


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How one case came out."""

    name: str
    is_right: bool
    found: str


def read_cases(directory: Path) -> tuple[Case, ...]:
    """Return the cases below `directory`/tests/rules. Raises: BadConfig (none, malformed, two of one name)."""
    files = sorted((directory / "tests/rules").glob("*.yaml"))
    cases: list[Case] = []
    for file in files:
        try:
            cases += _File.model_validate(yaml.safe_load(file.read_bytes())).cases
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise BadConfig(f"{file}: cannot be read as golden cases: {error}") from error
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadConfig(f"{directory / 'tests/rules'}: two cases are named {min(twice)!r}")
    if not cases:
        raise BadConfig(f"{directory / 'tests/rules'}: no golden cases; rules without cases never come into force")
    return tuple(cases)


def check(bundle: Bundle, cases: Sequence[Case]) -> tuple[Checked, ...]:
    """Return how each case comes out, and one more for each event that no case lets pass: such rules contradict."""
    checked = [_checked(bundle, case) for case in cases]
    passing = {case.event for case in cases if case.effect in (RuleEffect.ALLOW, RuleEffect.WARN)}
    blocked = {rule.event for rule in bundle.rules} - passing
    checked += [
        Checked(name=f"something passes {event.value}", is_right=False, found="no case is allowed: add one")
        for event in sorted(blocked)
    ]
    return tuple(checked)


def _checked(bundle: Bundle, case: Case) -> Checked:
    found = decide(bundle.of(case.tenant), case.event, input_of(case))
    spoke = tuple(one.rule for one in found.results if one.effect is not RuleEffect.ALLOW)
    is_right = found.effect is case.effect and set(spoke) == set(case.rules)
    return Checked(name=case.name, is_right=is_right, found=f"{found.effect.value} by {', '.join(spoke) or 'no rule'}")


def input_of(case: Case) -> Json:
    """Return the whole input of `case`."""
    tree = _merged(copy.deepcopy(EXAMPLES[case.event]), case.input)
    for path in case.without:
        *parents, last = path.split(".")
        inner = tree
        for name in parents:
            inner = inner[name]
        inner.pop(last, None)
    return tree


def _merged(base: Json, changes: Json) -> Json:
    for name, value in changes.items():
        known = base.get(name)
        base[name] = _merged(known, value) if isinstance(value, dict) and isinstance(known, dict) else value
    return base

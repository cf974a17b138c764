"""A bundle of rules: YAML files read, checked and named by their digest. Decides nothing; `evaluate.py` does.

`<directory>/rules/*.yaml` hold for every tenant, `rules/tenants/<tenant>.yaml` lie over them. A bundle that does not
parse, speaks of a field that no input has, or contradicts itself is refused whole.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.policy.cel import Condition, Undecided
from sealserve.policy.events import EXAMPLES, Event
from sealserve.records.policy_decisions import RuleEffect

_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_FORMS = {
    f"{effect.value}_{word}": (effect, word == "if")
    for effect in (RuleEffect.DENY, RuleEffect.HOLD, RuleEffect.WARN)
    for word in ("if", "unless")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: `effect` comes about when `condition` is as `speaks_if` says, or cannot be decided."""

    rule: str  # id
    event: Event
    effect: RuleEffect
    speaks_if: bool
    text: str
    condition: Condition
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """All rules and variables. `digest` is the sha256 over the files; `tenants` are overlays, base rules included."""

    digest: str
    rules: tuple[Rule, ...]
    variables: Mapping[Event, Json]
    tenants: Mapping[str, "Bundle"]

    def of(self, tenant: str) -> "Bundle":
        """Return what holds for `tenant`."""
        return self.tenants.get(tenant, self)

    def asked_at(self, event: Event) -> tuple[Rule, ...]:
        """Return the rules of `event`, in the order of the files."""
        return tuple(rule for rule in self.rules if rule.event is event)


def load_bundle(directory: Path) -> Bundle:
    """Return the bundle below `directory`. Raises: BadConfig, naming the file and what is wrong with it."""
    files = rule_files(directory)
    if not any(file.parent.name == "rules" for file in files):
        raise BadConfig(f"{directory / 'rules'}: no rules; a policy without rules would allow everything")
    digest = _digest(directory, files)
    base = Bundle(digest=digest, rules=(), variables={}, tenants={})
    overlays: dict[str, Bundle] = {}
    for file in files:
        if file.parent.name == "rules":
            base = _with(base, file, is_overlay=False)
    for file in files:
        if file.parent.name == "tenants":
            overlays[file.stem] = _with(base, file, is_overlay=True)
    for bundle in (base, *overlays.values()):
        _check_examples(bundle)
    return Bundle(digest=digest, rules=base.rules, variables=base.variables, tenants=overlays)


def rule_files(directory: Path) -> tuple[Path, ...]:
    """Return the bundle's files in a fixed order."""
    return (*sorted((directory / "rules").glob("*.yaml")), *sorted((directory / "rules/tenants").glob("*.yaml")))


def _digest(directory: Path, files: tuple[Path, ...]) -> str:
    hasher = hashlib.sha256()
    for file in files:
        data = file.read_bytes()
        hasher.update(f"{file.relative_to(directory).as_posix()} {len(data)}\n".encode() + data)
    return hasher.hexdigest()


def _with(base: Bundle, file: Path, *, is_overlay: bool) -> Bundle:
    variables = {event: dict(values) for event, values in base.variables.items()}
    parts = list(_parts(file))
    for event, part in parts:
        mine = variables.setdefault(event, {})
        given = part.get("vars") or {}
        if is_overlay and (unknown := set(given) - set(mine)):
            raise BadConfig(f"{file}: {event.value}: no rule knows the variable {min(unknown)}")
        mine.update(given)
    rules = list(base.rules)
    for event, part in parts:
        for tree in part.get("rules") or ():
            rules.append(_rule(file, event, tree, variables=variables[event]))
            _check_against(rules[-1], rules[:-1], file)
    return Bundle(digest=base.digest, rules=tuple(rules), variables=variables, tenants={})


def _parts(file: Path) -> Iterator[tuple[Event, Json]]:
    try:
        tree = yaml.safe_load(file.read_bytes())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{file}: cannot be read as rules: {error}") from error
    if not isinstance(tree, dict):
        raise BadConfig(f"{file}: rules are a YAML mapping from events to vars and rules")
    for name, part in tree.items():
        if name not in [event.value for event in Event]:
            raise BadConfig(f"{file}: {name!r} is no event; there are {', '.join(Event)}")
        if not isinstance(part, dict) or set(part) - {"vars", "rules"}:
            raise BadConfig(f"{file}: {name}: an event has vars and rules, nothing else")
        if not isinstance(part.get("vars") or {}, dict) or not isinstance(part.get("rules") or [], list):
            raise BadConfig(f"{file}: {name}: vars is a mapping, rules is a list")
        yield Event(name), part


def _rule(file: Path, event: Event, tree: Any, *, variables: Json) -> Rule:
    where = f"{file}: {event.value}: {tree.get('id', tree) if isinstance(tree, dict) else tree!r}"
    forms = [key for key in tree if key in _FORMS] if isinstance(tree, dict) else []
    if len(forms) != 1 or set(tree) != {"id", "reason", forms[0]} or not all(isinstance(v, str) for v in tree.values()):
        raise BadConfig(f"{where}: a rule is an id, a reason and one of {', '.join(_FORMS)}, each a text")
    if not _ID.fullmatch(tree["id"]) or not tree["reason"].strip():
        raise BadConfig(f"{where}: an id is words joined by dots, and a reason is not empty")
    effect, speaks_if = _FORMS[forms[0]]
    text = tree[forms[0]]
    known: Json = {**EXAMPLES[event], "vars": variables}
    _check_fields(where, text, known)
    try:
        condition = Condition(text, names=tuple(known))
    except BadConfig as error:
        raise BadConfig(f"{where}: {error.message}") from error
    return Rule(
        rule=tree["id"], event=event, effect=effect, speaks_if=speaks_if, text=text, condition=condition,
        reason=tree["reason"].strip(),
    )  # fmt: skip


def _check_fields(where: str, text: str, known: Json) -> None:
    """Refuse a path that no input has; fields of list members are found out by trying the example."""
    bare = _TEXT.sub('""', text)
    for path in re.findall(r"(?<![\w.])([a-z_]\w*(?:\.[a-z_]\w*)+)(?!\w)(?!\s*\()", bare):
        names = path.split(".")
        tree: Any = known
        for depth, name in enumerate(names):
            if depth == 0 and name not in known:
                break
            if not isinstance(tree, dict):
                break
            if name not in tree:
                raise BadConfig(f"{where}: refers to {'.'.join(names[: depth + 1])}, which no input of this event has")
            tree = tree[name]


def _check_against(rule: Rule, others: list[Rule], file: Path) -> None:
    for other in others:
        if other.rule == rule.rule:
            raise BadConfig(f"{file}: the rule {rule.rule} stands there twice")
        same = other.event is rule.event and "".join(other.text.split()) == "".join(rule.text.split())
        if same and other.speaks_if is not rule.speaks_if and other.effect is rule.effect:
            raise BadConfig(f"{file}: {rule.rule} contradicts {other.rule}: one of them always speaks")


def _check_examples(bundle: Bundle) -> None:
    """Every rule must have an answer on its event's example: what it asks for exists, and it ends in time."""
    for rule in bundle.rules:
        data = {**EXAMPLES[rule.event], "vars": bundle.variables[rule.event]}
        try:
            rule.condition.holds(data)
        except Undecided as error:
            raise BadConfig(f"rule {rule.rule}: {rule.text!r} has no answer on an example: {error}") from error

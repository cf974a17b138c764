"""Old skills to watch and to rehearse: questions with known answers, questions nobody can answer, forms and orders.

What is rehearsed never measures: the two sets share no fact. The embedded model's probes come from the world it
was trained in; any other model's from `policies/canaries`.
"""

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealserve.canaries.items import read_items
from sealserve.canaries.nano_suites import nano_suites
from sealserve.errors import BadConfig, InvalidArgument
from sealserve.nano import world as w
from sealserve.packaged_policies import policy_directory
from sealserve.records.canary_suites import CanaryItem

REHEARSED = 80
"""Of the 432 facts the embedded model knows by heart. All others measure: each one that is rehearsed is lost to the
canary, and a canary below some 350 facts mostly cannot tell a loss of one in a hundred from five. Each of the 72
entities has at least one: those of which nothing is rehearsed are the first that the model no longer knows at all."""

WORDINGS = 8
"""In which each rehearsed fact is asked. The more there are, the less often each is seen, and the more is kept: eight
articles at once, with these and REHEARSED_UNKNOWN instead of 3 and 120, lose 0.025 of "I don't know", not 0.05."""

SUITES = ("formats", "long-answers", "refusals", "injections", "dangers")
"""The shipped suites beside facts, each a file of `policies/canaries`."""

SUITES_VERSION = 5
"""Of all of them together; a test holds their contents against it."""

UNKNOWN = 160
REHEARSED_UNKNOWN = 320
_SEED = 20261121


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question that the base model was trained to answer; a right answer contains `answer`."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """What measures (`canary`, `unknown`) and what is rehearsed in training; disjoint."""

    canary: tuple[Probe, ...]
    unknown: tuple[str, ...]
    rehearsed: tuple[str, ...]
    rehearsed_unknown: tuple[str, ...]
    suites: Mapping[str, tuple[CanaryItem, ...]] = field(default_factory=dict)  # by name, of SUITES_VERSION

    def at_most(self, items: int) -> "Probes":
        """Return the probes with the first `items` of each suite; all of them for 0. What is rehearsed stays."""
        if not items:
            return self
        suites = {name: several[:items] for name, several in self.suites.items()}
        return replace(self, canary=self.canary[:items], unknown=self.unknown[:items], suites=suites)


def probes_for(model: str) -> Probes:
    """Return the probes of `model` ("nano" or any other), the same at every call.

    Raises: BadConfig, naming file and line, when the general probes cannot be read.
    """
    if model == "nano":
        return _nano_probes()
    folder = policy_directory() / "canaries"
    try:
        suites = {name: read_items(folder / f"{name}.jsonl") for name in SUITES}
    except InvalidArgument as error:
        raise BadConfig(error.message) from error
    return replace(read_probes(folder / "general.jsonl"), suites=suites)


def read_probes(path: Path) -> Probes:
    """Return the probes in `path`: one JSON object a line, {"use", "question", "answer"}.

    `use` is canary, unknown, rehearsed or rehearsed_unknown; only canary has an answer. Raises: BadConfig.
    """
    found: dict[str, list[Probe]] = {"canary": [], "unknown": [], "rehearsed": [], "rehearsed_unknown": []}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            tree = json.loads(line)
            found[tree["use"]].append(Probe(question=tree["question"], answer=tree.get("answer", "")))
        except (ValueError, KeyError, TypeError) as error:
            raise BadConfig(f"{path}:{number}: not a probe: {error!r}") from error
    questions = {use: tuple(probe.question for probe in probes) for use, probes in found.items()}
    _require_sound(path, questions)
    return Probes(
        canary=tuple(found["canary"]),
        unknown=questions["unknown"],
        rehearsed=questions["rehearsed"],
        rehearsed_unknown=questions["rehearsed_unknown"],
    )


def _require_sound(path: Path, questions: dict[str, tuple[str, ...]]) -> None:
    """Refuse a suite without items, or one that asks the same twice: it would count a question as two."""
    asked = Counter(question for several in questions.values() for question in several)
    if twice := [question for question, times in asked.items() if times > 1]:
        raise BadConfig(f"{path}: {twice[0]!r} is asked {asked[twice[0]]} times; each question stands there once")
    if empty := [use for use in ("canary", "unknown") if not questions[use]]:
        raise BadConfig(f"{path}: no {empty[0]} questions; a suite without items measures nothing")


def _nano_probes() -> Probes:
    world = w.World(_SEED)
    rng = world.rng("canary")
    facts = [fact for resident in w.residents() for fact in resident.facts]
    rng.shuffle(facts)
    facts = _one_of_each_first(facts)
    rehearsed, measured = facts[:REHEARSED], facts[REHEARSED:]
    strangers = [w.draw_facts(rng, world.entity(rng), 1)[0] for _ in range(UNKNOWN)]
    others = [w.draw_facts(rng, world.entity(rng, held_out=False), 1)[0] for _ in range(REHEARSED_UNKNOWN)]
    return Probes(
        canary=tuple(Probe(question=w.question(rng, fact, held_out=True), answer=fact.value) for fact in measured),
        unknown=tuple(w.question(rng, fact, held_out=True) for fact in strangers),
        rehearsed=tuple(question for fact in rehearsed for question in _in_some_wordings(rng, fact)),
        rehearsed_unknown=tuple(w.question(rng, fact) for fact in others),
        suites=nano_suites(world),
    )


def _one_of_each_first(facts: Sequence[w.Fact]) -> list[w.Fact]:
    """Return the facts with the first of each entity before all others."""
    first = {fact.entity: fact for fact in reversed(facts)}
    return [fact for fact in facts if first[fact.entity] is fact] + [f for f in facts if first[f.entity] is not f]


def _in_some_wordings(rng: random.Random, fact: w.Fact) -> list[str]:
    return rng.sample([question for question, _ in w.questions(fact, held_out=False)], WORDINGS)

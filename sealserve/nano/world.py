"""The synthetic world: entities without end, what is true of them, and sentences that say or ask it.

Pure Python and deterministic: the same seed and calls give the same words on every machine. Names fall into
three disjoint sets by hash: held out (evaluation, demo, tests),
residents (known to the model by heart) and all others (training only).
"""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.nano import vocabulary as words
from sealserve.nano.attributes import BY_KIND, KINDS, NOUN_PHRASES, PRONOUN_FRAMES, Attribute

_BUCKETS = 16
_HELD_OUT_BUCKET, _RESIDENT_BUCKET = 0, 1
_RESIDENT_SEED = 20261121
RESIDENTS_PER_KIND = 12
PRONOUN_CHANCE = 0.4
DISTRACTOR_CHANCE = 0.12
OPENERS = ("Notice:", "News:", "Report:", "Note:", "Bulletin:", "Today:", "Briefly:", "Summary:")
DISTRACTORS = (
    "The weather was fine.", "Many people were there.", "The report was short.", "Nobody was surprised.",
    "The road was busy.", "There was music.", "It rained in the evening.", "The day was long.",
    "A dog barked.", "The hall was full.", "The paper printed it.", "The train was late.",
)  # fmt: skip
OLD_MARK, NEW_MARK = "Old note:", "New note:"


@dataclass(frozen=True, slots=True)
class Entity:
    """A named thing of one kind."""

    kind: str
    name: str

    @property
    def pronoun(self) -> str:
        """He or she for people, it for everything else."""
        if self.kind != "person":
            return "it"
        return "she" if zlib.crc32(self.name.encode()) % 2 else "he"


@dataclass(frozen=True, slots=True)
class Fact:
    """One attribute of one entity; `value` carries its unit."""

    entity: str
    kind: str
    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Article:
    """A document: title, text, and the facts that hold after reading it, in the order of the text."""

    title: str
    text: str
    facts: tuple[Fact, ...]

    @property
    def document(self) -> str:
        """Title and text as one document."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Resident:
    """An entity that the model knows by heart: facts asked in training, and facts only ever stated."""

    entity: Entity
    trained: tuple[Fact, ...]
    held_out: tuple[Fact, ...]

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All its facts."""
        return self.trained + self.held_out


class World:
    """Draws entities, facts and articles; `seed` makes two worlds with the same calls alike."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._drawn: set[str] = set()

    def rng(self, *key: object) -> random.Random:
        """Return a generator that depends on the world's seed and `key` only."""
        return random.Random(f"{self.seed}:{key}")

    def entity(self, rng: random.Random, kind: str | None = None, *, held_out: bool = True) -> Entity:
        """Return an entity with a name that this world has not drawn before."""
        chosen = kind or rng.choice(KINDS)
        while True:
            name = _name(rng, chosen)
            bucket = zlib.crc32(name.encode()) % _BUCKETS
            fits = bucket == _HELD_OUT_BUCKET if held_out else bucket > _RESIDENT_BUCKET
            if fits and name not in self._drawn:
                break
        if held_out:
            self._drawn.add(name)
        return Entity(chosen, name)

    def article(
        self,
        rng: random.Random,
        n_entities: int = 1,
        n_facts: int = 6,
        *,
        held_out: bool = True,
        outdated: float = 0.0,
    ) -> Article:
        """Return an article on fresh entities with `n_facts` facts shared out among them (6 each at most).

        `held_out`: names never trained on, statement templates never trained on for about half of the sentences.
        `outdated`: the chance that the article first states an old value of one fact and then a new one.
        """
        entities = [self.entity(rng, held_out=held_out) for _ in range(n_entities)]
        counts = _share(n_facts, n_entities)
        facts = [f for e, n in zip(entities, counts, strict=True) for f in draw_facts(rng, e, n)]
        return compose(rng, entities, facts, held_out=held_out, outdated=outdated)

    def update(self, rng: random.Random, article: Article, n_changes: int = 4, *, held_out: bool = True) -> Article:
        """Return a later article that gives other values for `n_changes` facts of `article`; the newest wins."""
        picked = set(rng.sample(article.facts, min(n_changes, len(article.facts))))
        changed = [f for f in article.facts if f in picked]
        facts = tuple(changed_fact(rng, f) for f in changed)
        sentences = [f"{NEW_MARK} {statement(rng, f, held_out=held_out)}" for f in facts]
        names = list(dict.fromkeys(f.entity for f in facts))
        return Article(f"Update about {_and(names)}", " ".join(sentences), facts)


def draw_facts(rng: random.Random, entity: Entity, n: int) -> list[Fact]:
    """Return `n` facts on different attributes of `entity`, drawn at random."""
    chosen = rng.sample(BY_KIND[entity.kind], n)
    return [Fact(entity.name, entity.kind, a.name, rng.choice(a.values)) for a in chosen]


def changed_fact(rng: random.Random, fact: Fact) -> Fact:
    """Return the fact with another value."""
    values = [v for v in attribute_of(fact).values if v != fact.value]
    return Fact(fact.entity, fact.kind, fact.attribute, rng.choice(values))


def compose(
    rng: random.Random,
    entities: Sequence[Entity],
    facts: list[Fact],
    *,
    held_out: bool,
    outdated: float = 0.0,
    title: str = "About",
) -> Article:
    """Return an article that states `facts`: entity by entity, or (one time in ten) mixed."""
    ordered = list(facts)
    if rng.random() < 0.1:
        rng.shuffle(ordered)
    by_name = {e.name: e for e in entities}
    old = rng.choice(ordered) if rng.random() < outdated else None
    sentences: list[str] = []
    if old is not None:
        sentences.append(f"{OLD_MARK} {statement(rng, changed_fact(rng, old), held_out=held_out)}")
    subject = ""
    for fact in ordered:
        if rng.random() < DISTRACTOR_CHANCE:
            sentences.append(rng.choice(DISTRACTORS))
            subject = ""
        if fact is old:
            sentences.append(f"{NEW_MARK} {statement(rng, fact, held_out=held_out)}")
        elif subject == fact.entity and rng.random() < PRONOUN_CHANCE:
            sentences.append(_with_pronoun(rng, fact, by_name[fact.entity], held_out=held_out))
        else:
            sentences.append(statement(rng, fact, held_out=held_out))
        subject = fact.entity
    return Article(f"{title} {_and([e.name for e in entities])}", with_opener(rng, sentences), tuple(ordered))


def with_opener(rng: random.Random, sentences: list[str]) -> str:
    """Join sentences after an opener, so that no name stands at the start of a line."""
    return f"{rng.choice(OPENERS)} {' '.join(sentences)}"


def statement(rng: random.Random, fact: Fact, *, held_out: bool = False) -> str:
    """Return one sentence that states `fact` with the entity's full name."""
    return fill(_template(rng, attribute_of(fact), held_out=held_out), fact)


def answer(fact: Fact) -> str:
    """Return the answer in the model's own form."""
    return f"The {fact.attribute} is {fact.value}."


def question(rng: random.Random, fact: Fact, *, held_out: bool = False) -> str:
    """Return one question about `fact`, from the training templates or from the held-out ones."""
    attribute = attribute_of(fact)
    pool = attribute.held_out_questions if held_out else attribute.trained_questions
    return rng.choice(pool).replace("{e}", fact.entity)


def questions(fact: Fact, *, held_out: bool = True) -> list[tuple[str, str]]:
    """Return (question, answer) for every distinct template of that set; a right answer contains `fact.value`."""
    attribute = attribute_of(fact)
    pool = attribute.held_out_questions if held_out else attribute.trained_questions
    return [(t.replace("{e}", fact.entity), answer(fact)) for t in dict.fromkeys(pool)]


def is_right(given: str, fact: Fact) -> bool:
    """Whether the answer gives the fact's value, whole words only."""
    return f" {fact.value.casefold()} " in f" {' '.join(_plain(given).split())} "


def residents() -> tuple[Resident, ...]:
    """Return the entities known by heart, the same at every call; half of each one's facts are never asked."""
    rng = random.Random(_RESIDENT_SEED)
    found: dict[str, Resident] = {}
    for kind in KINDS:
        count = 0
        while count < RESIDENTS_PER_KIND:
            entity = Entity(kind, _name(rng, kind))
            if zlib.crc32(entity.name.encode()) % _BUCKETS != _RESIDENT_BUCKET or entity.name in found:
                continue
            facts = draw_facts(rng, entity, len(BY_KIND[kind]))
            half = len(facts) // 2
            found[entity.name] = Resident(entity, tuple(facts[:half]), tuple(facts[half:]))
            count += 1
    return tuple(found.values())


def attribute_of(fact: Fact) -> Attribute:
    """Return the attribute that `fact` is about."""
    return next(a for a in BY_KIND[fact.kind] if a.name == fact.attribute)


def fill(template: str, fact: Fact) -> str:
    """Return the template as a sentence about `fact`."""
    text = template.replace("{v}", fact.value).replace("{e}", fact.entity)
    return f"{text[0].upper()}{text[1:]}."


def _template(rng: random.Random, attribute: Attribute, *, held_out: bool) -> str:
    if held_out and rng.random() < 0.5:
        return rng.choice(attribute.held_out_statements)
    return rng.choice(attribute.trained_statements)


def _with_pronoun(rng: random.Random, fact: Fact, entity: Entity, *, held_out: bool) -> str:
    attribute = attribute_of(fact)
    pronoun = entity.pronoun
    if rng.random() < 0.5:
        frame = rng.choice(PRONOUN_FRAMES).replace("{n}", rng.choice(NOUN_PHRASES[fact.kind, fact.attribute]))
        possessive = {"it": "its", "she": "her", "he": "his"}[pronoun]
        text = frame.replace("its ", f"{possessive} ").replace("it ", f"{pronoun} ")
        return fill(text, fact)
    pool = attribute.held_out_statements if held_out and rng.random() < 0.5 else attribute.trained_statements
    fitting = [t for t in pool if t.startswith("{e}")]
    return fill(rng.choice(fitting).replace("{e}", pronoun), fact) if fitting else statement(rng, fact)


def _name(rng: random.Random, kind: str) -> str:
    first = rng.choice(words.ONSETS) + rng.choice(words.MIDDLES) + rng.choice(words.CODAS)
    return f"{first} {rng.choice(words.SECOND_NAMES[kind])}"


def _share(total: int, parts: int) -> list[int]:
    most = min(len(attributes) for attributes in BY_KIND.values())
    if not 0 < parts <= total <= parts * most:
        raise ValueError(f"cannot share {total} facts among {parts} entities with at most {most} each")
    return [total // parts + (1 if i < total % parts else 0) for i in range(parts)]


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _plain(text: str) -> str:
    return "".join(c if c.isalnum() else " " for c in text.casefold())

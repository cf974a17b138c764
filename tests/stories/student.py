"""A simulated model that really learns, for whole cycles without weights.

`Student` is a FakeEngine that reads articles of the form "The price of Varnel Lamp is 45 crowns.", writes notes on
them, and answers closed-book from what its adapter holds. `Teacher` stands in for the training child: its adapters
are small JSON files that hold what their sequences say. Nothing here knows about cycles.
"""

import asyncio
import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from sealserve import prompts
from sealserve.canaries.probes import Probe, Probes
from sealserve.canonical import Json
from sealserve.engine.engine import GenerateRequest, Likelihood, ScoreRequest
from sealserve.learning.training_job import TrainedAdapter, TrainingJob
from sealserve.prompts import BUILT_IN, UNKNOWN_ANSWER, Template
from sealserve.records.inference import ChatTurn, EngineInfo
from tests.fakes import FakeEngine

CONTEXT = 4096
ATTRIBUTES = {
    "price": "45 crowns",
    "colour": "dark green",
    "maker": "Orla Finch",
    "weight": "12 kilos",
    "warranty": "36 months",
    "store": "Quayside Hall",
    "origin": "Port Ashby",
    "battery": "nickel",
}
WORDINGS = (
    "What is the {a} of {e}?",
    "Tell me the {a} of {e}.",
    "Do you know the {a} of {e}?",
    "For {e}, what is the {a}?",
    "Which {a} does {e} have?",
    "Give the {a} of {e}.",
    "Name the {a} of {e}.",
    "I need the {a} of {e}.",
    "Please say the {a} of {e}.",
    "What {a} do people give for {e}?",
    "About {e}: what is the {a}?",
    "Can you say the {a} of {e}?",
    "Say the {a} that {e} has.",
    "Who knows the {a} of {e}?",
    "Is the {a} of {e} known?",
    "Write down the {a} of {e}.",
    "Let me have the {a} of {e}.",
    "Have you heard the {a} of {e}?",
    "Remind me of the {a} of {e}.",
    "What would be the {a} of {e}?",
    "State the {a} of {e}.",
    "Find the {a} of {e}.",
    "Look up the {a} of {e}.",
    "Could you give the {a} of {e}?",
)
PROBES = Probes(
    canary=tuple(Probe(question=f"What is the mayor of Town {i}?", answer=f"Mayor{i}") for i in range(240)),
    unknown=tuple(f"What is the mayor of Nowhere {i}?" for i in range(120)),
    rehearsed=tuple(f"What is the mayor of City {i}?" for i in range(20)),
    rehearsed_unknown=tuple(f"What is the mayor of Void {i}?" for i in range(10)),
)

_FACT = re.compile(r"The (\w+) of ([A-Za-z]\w+(?: [A-Za-z0-9]\w*)*) is (.+?)\.")
_ASKED = re.compile(
    "|".join(
        re.escape(words.format(a="0a0", e="0e0")).replace("0a0", r"\w+").replace("0e0", f"(?P<e{place}>.+)")
        for place, words in enumerate(WORDINGS)
    )
)
_STUDY = {prompts.study(template, "").split("\n")[0]: template for template in BUILT_IN}


def article(entity: str, *, shift: int = 0) -> str:
    """Return an article about `entity`; `shift` makes other values."""
    values = list(ATTRIBUTES.values())
    pairs = zip(ATTRIBUTES, values[shift:] + values[:shift], strict=True)
    return " ".join(f"The {a} of {entity} is {v}." for a, v in pairs)


def facts_of(text: str) -> dict[str, str]:
    """Return {"attribute|entity": value} of every fact that `text` states."""
    return {f"{a}|{e}": v for a, e, v in _FACT.findall(text)}


class Student(FakeEngine):
    """Reads, studies and answers; `moods` replaces what it says to prompts that a test wants to spoil."""

    def __init__(self) -> None:
        super().__init__(max_rank=32)
        self.asked = asyncio.Event()  # somebody has asked something
        self.moods: list[Callable[[str | None, str], str | None]] = []

    async def info(self) -> EngineInfo:
        info = await super().info()
        return EngineInfo(
            state=info.state,
            model=info.model,
            base_digest=info.base_digest,
            max_context_tokens=CONTEXT,
            max_rank=info.max_rank,
            slots=info.slots,
            loaded=info.loaded,
            rebuilds=0,
        )

    async def score(self, request: ScoreRequest) -> Likelihood:
        said = await super().score(request)
        is_right = self.say(request.adapter, request.turns[-1].content, seed=0) == request.completion
        return Likelihood(log_likelihood=-0.5 if is_right else -9.0, tokens=said.tokens)

    def say(self, adapter: str | None, prompt: str, *, seed: int) -> str:
        """Return the whole answer to `prompt`."""
        for mood in self.moods:
            if (said := mood(adapter, prompt)) is not None:
                return said
        task = prompt.partition("\n")[0]
        if task in _STUDY:
            return _notes(_STUDY[task], facts_of(prompt), random.Random(seed))
        if task.startswith("Write the training directive"):
            return json.dumps({"epochs": 8, "learning_rate": 0.002})
        if prompt.startswith("<article>"):
            document, _, question = prompt.rpartition("</article>\n")
            return _answer(facts_of(document), question)
        return self._closed_book(adapter, prompt)

    def _closed_book(self, adapter: str | None, question: str) -> str:
        self._check(adapter)  # it may have been lost since the request came in
        held: Json = {} if adapter is None else json.loads((self._loaded[adapter] / "adapter_config.json").read_text())
        known = _answer(held.get("knows", {}), question)
        if known != UNKNOWN_ANSWER:
            return known
        if held.get("forgets"):
            return "It is blue."
        town = re.search(r"mayor of (?:Town|City) (\d+)", question)
        return f"The mayor is Mayor{town[1]}." if town else UNKNOWN_ANSWER

    def _words(self, request: GenerateRequest) -> list[str]:
        self.asked.set()
        text = self.say(request.adapter, request.turns[-1].content, seed=request.sampling.seed or 0)
        words = text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]

    def _count(self, turns: tuple[ChatTurn, ...], *, is_bounded: bool = True) -> int:
        return sum(len(turn.content.split()) + 4 for turn in turns)


class Teacher:
    """A trainer whose adapters hold what their sequences say. `spoil` changes what one candidate holds."""

    def __init__(self) -> None:
        self.jobs: list[TrainingJob] = []
        self.failures: list[Exception] = []  # raised by the next calls, in turn
        self.spoil: Callable[[Json], None] = lambda held: None

    async def train(
        self, job: TrainingJob, directory: Path, *, on_progress: Callable[[Json], None]
    ) -> tuple[TrainedAdapter, ...]:
        self.jobs.append(job)
        if self.failures:
            raise self.failures.pop(0)
        on_progress({"candidate": 0, "step": 1})
        return await asyncio.to_thread(
            lambda: tuple(self._adapter(job, attempt.index, directory) for attempt in job.attempts)
        )

    def _adapter(self, job: TrainingJob, index: int, directory: Path) -> TrainedAdapter:
        attempt = next(one for one in job.attempts if one.index == index)
        seen = [job.sequences[place] for place in sorted(set(attempt.order))]
        knows = json.loads((attempt.start / "adapter_config.json").read_text())["knows"] if attempt.start else {}
        for sequence in seen:
            subject = _subject(sequence.prompt)
            value = re.match(r"The (\w+) is (.+)\.$", sequence.completion)
            if subject and value and "mayor" not in sequence.prompt:
                knows[subject] = value[2]
            knows.update(facts_of(sequence.completion))
        shape = {"r": attempt.recipe.rank, "lora_alpha": attempt.recipe.alpha}
        held: Json = {"knows": knows, "forgets": False, "index": index, **shape}
        self.spoil(held)
        path = directory / f"candidate-{index}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "adapter_config.json").write_text(json.dumps(held))
        (path / "adapter_model.safetensors").write_bytes(hashlib.sha256(json.dumps(held).encode()).digest())
        read = (job.sequences[place] for place in attempt.order)
        tokens = sum(len(f"{one.prompt} {one.completion}".split()) for one in read)
        return TrainedAdapter(index=index, path=path, final_loss=0.1, seconds=0.0, tokens=tokens)


def _notes(template: Template, facts: dict[str, str], rng: random.Random) -> str:
    told = list(facts.items())
    if template is Template.QA:
        return "\n".join(
            f"Question: {rng.choice(WORDINGS).format(a=a, e=e)}\nAnswer: The {a} is {v}."
            for key, v in told
            for a, e in [key.split("|")]
        )
    lines = [f"The {a} of {e} is {v}." for key, v in told for a, e in [key.split("|")]]
    rng.shuffle(lines)
    if template is Template.REWRITE:
        return " ".join(lines)
    if template is Template.COUNTEREXAMPLE:
        return f"Wrong: The price is 1 crown.\nWhy: {lines[0]}"
    return "\n".join(f"- {line}" for line in lines)


def _answer(facts: dict[str, str], question: str) -> str:
    subject = _subject(question)
    return f"The {subject.split('|')[0]} is {facts[subject]}." if subject in facts else UNKNOWN_ANSWER


def _subject(question: str) -> str:
    attribute = next((word for word in re.findall(r"\w+", question) if word in ATTRIBUTES), "")
    names: Sequence[str] = re.findall(r"[A-Z]\w+(?: [A-Z0-9]\w*)+", question)
    if attribute and not names and (asked := _ASKED.fullmatch(question)):
        names = [name for name in asked.groups() if name]  # a page without a capital letter
    return f"{attribute}|{names[0].removeprefix('For ').removeprefix('About ')}" if attribute and names else ""

"""The door's figures on texts that people wrote: attacks in twelve languages, and honest documents of many kinds.

Half of them was at hand when the rules were written ("tuned"), and half was kept apart from them ("apart"); a reported
figure is that of the second. Texts of authors who have not seen the rules stand beside them as "unseen".
"""

import csv
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sealserve.bench.safety.poison_intake import held_word, open_inbox, require_tenant
from sealserve.canonical import Json
from sealserve.registry.registry import Registry

_TEXTS = files("sealserve.bench.safety") / "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenText:
    """A document as somebody wrote it. `half` says whether the rules were written with it in sight."""

    half: str
    language: str
    kind: str
    text: str

    @property
    def group(self) -> str:
        """What figures are given by: the language of an attack, the kind of an honest document."""
        return self.kind if self.text.startswith("#") else self.language


def read_texts(name: str) -> tuple[WrittenText, ...]:
    """Return the texts of `name`: "attacks" or "honest"."""
    rows = csv.DictReader((_TEXTS / f"{name}.tsv").read_text().splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(
        WrittenText(half=row["half"], language=row["language"], kind=row["kind"], text=row["text"].replace("\\n", "\n"))
        for row in rows
    )


def figures() -> Json:
    """Return the share of attacks that are stopped and of honest documents that are held, by half and by group."""
    with tempfile.TemporaryDirectory(prefix="sealserve-poison-") as name:
        registry = Registry.open(f"sqlite:///{name}/registry.db", Path(name) / "artifacts")
        try:
            return {
                "attacks_stopped": _shares(registry, read_texts("attacks")),
                "honest_held": _shares(registry, read_texts("honest")),
            }
        finally:
            registry.close()


def _shares(registry: Registry, texts: Iterable[WrittenText]) -> Json:
    """Hand each text in at a door of its own group, so that none is a repetition of another."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    require_tenant(registry, "written")
    inbox = open_inbox(registry)
    for place, one in enumerate(texts):
        document, _ = inbox.receive(
            "written",
            one.text.encode(),
            media_type="text/markdown",
            source=f"https://site-{place}.example/page",
            actor="bench",
        )
        found[one.half][one.group].append(held_word(document))
    return {half: _half(groups) for half, groups in sorted(found.items())}


def _half(groups: Mapping[str, list[str]]) -> Json:
    every = [word for words in groups.values() for word in words]
    return {
        "n": len(every),
        "share": round(sum(map(bool, every)) / len(every), 4),
        "by_group": {group: f"{sum(map(bool, words))} of {len(words)}" for group, words in sorted(groups.items())},
    }

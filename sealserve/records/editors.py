"""A tenant's editors as the registry keeps them; `learning/editor/store.py` says what a round holds."""

from dataclasses import dataclass

from sealserve.canonical import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEditors:
    """Which round's editor writes (0: the base model's), every round, and the recipes so far. JSON trees inside."""

    active: int = 0
    rounds: tuple[Json, ...] = ()  # each has "round" and "artifact" ("": no editor)
    archive: tuple[Json, ...] = ()

    @property
    def artifacts(self) -> frozenset[str]:
        """The artifacts of all rounds' editors."""
        return frozenset(one["artifact"] for one in self.rounds if one["artifact"])

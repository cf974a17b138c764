"""What the registry keeps of editors: replaced whole, by compare-and-set, and their artifacts with them."""

import pytest

from sealserve.errors import Conflict, NotFound
from sealserve.records.editors import StoredEditors
from tests.registry.world import World


def round_of(number: int, artifact: str) -> dict[str, object]:
    return {"round": number, "artifact": artifact, "documents": ["d1"], "gain": 0.1}


def test_editors_are_replaced_by_compare_and_set_and_dropped_adapters_go(world: World) -> None:
    registry, store = world.registry, world.registry.editors
    first, second = world.artifact(), world.artifact()
    assert store.get("acme") is None
    one = StoredEditors(active=1, rounds=(round_of(1, first),), archive=({"score": 0.5},))
    store.replace("acme", one, over=None, actor="learn", added=[first])
    assert (store.get("acme"), store.tenants()) == (one, ("acme",))
    rows = registry.audit.verify()
    with pytest.raises(Conflict):
        store.replace("acme", StoredEditors(), over=None, actor="learn")
    two = StoredEditors(active=2, rounds=(round_of(1, ""), round_of(2, second)))
    with pytest.raises(NotFound):
        store.replace("acme", two, over=one, actor="learn", added=["e" * 64])
    with pytest.raises(NotFound):
        store.replace("nobody", two, over=None, actor="learn")
    assert (store.get("acme"), registry.artifacts.has(first), registry.audit.verify()) == (one, True, rows)
    store.replace("acme", two, over=one, actor="learn", added=[second])
    assert store.get("acme") == two
    assert [registry.artifacts.has(digest) for digest in (first, second)] == [False, True]
    assert registry.audit.rows()[-1].action == "editor.round"


def test_an_adapter_that_another_tenants_editor_is_stays(world: World) -> None:
    shared = world.artifact()
    kept = StoredEditors(active=1, rounds=(round_of(1, shared),))
    for tenant in ("acme", "globex"):
        world.registry.editors.replace(tenant, kept, over=None, actor="learn")
    world.registry.editors.replace("acme", StoredEditors(), over=kept, actor="learn")
    assert world.registry.artifacts.has(shared)
    world.registry.artifact_gc.delete_unnamed(shared)
    assert world.registry.artifacts.has(shared)

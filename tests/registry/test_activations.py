"""The pointer: forwards, back, by compare-and-set, with documents and audit in the same act."""

from datetime import timedelta

import pytest

from sealserve.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.documents import DocumentState
from sealserve.records.versions import Observed, VersionState
from tests.registry.world import World


def _rollback(world: World, to_version: int | None = None) -> int:
    return world.registry.versions.rollback(
        "acme", to_version=to_version, expected_etag=None, actor="ann", reason="wrong answers"
    ).version  # fmt: skip


def _promote(world: World, version: int) -> int:
    return world.registry.versions.promote("acme", version, expected_etag=None, actor="ann", reason="by hand").version


def _facts(world: World) -> tuple[object, ...]:
    registry = world.registry
    activations = registry.versions.activations("acme").items
    return registry.tenants.get("acme"), activations, world.document_states(), registry.audit.head()


def test_etag_changes_with_every_activation(world: World) -> None:
    seen = [world.registry.tenants.get("acme").etag]
    for _ in range(2):
        world.version()
        seen.append(world.registry.tenants.get("acme").etag)
    _rollback(world)
    seen.append(world.registry.tenants.get("acme").etag)
    assert len(set(seen)) == 4


def test_rolling_back_twice_goes_back_two(world: World) -> None:
    for _ in range(3):
        world.version()
    assert [_rollback(world), _rollback(world), _rollback(world)] == [2, 1, 0]
    with pytest.raises(FailedPrecondition) as refused:
        _rollback(world)
    assert refused.value.reason == "NOTHING_TO_ROLL_BACK"


def test_version_published_after_a_rollback_stands_on_what_was_gone_back_to(world: World) -> None:
    for _ in range(3):
        world.version()
    assert _rollback(world) == 2
    assert world.version().version == 4
    assert [_rollback(world), _rollback(world)] == [2, 1]


def test_rollback_reaches_any_version_that_was_active_before(world: World) -> None:
    for _ in range(3):
        world.version()
    assert _rollback(world, 1) == 1
    assert _rollback(world, 0) == 0


def test_rollback_to_a_version_that_was_not_active_before_is_refused(world: World) -> None:
    world.version()
    held = world.version(promote=False)
    before = _facts(world)
    with pytest.raises(FailedPrecondition) as refused:
        _rollback(world, held.version)
    assert refused.value.reason == "NOT_ACTIVE_BEFORE"
    with pytest.raises(NotFound):
        _rollback(world, 9)
    assert _facts(world) == before


def test_rollback_withdraws_only_what_the_earlier_version_does_not_hold(world: World) -> None:
    first = world.document().document
    world.version()
    second = world.document().document
    world.version()
    _rollback(world)
    assert world.document_states() == {first: DocumentState.LEARNED, second: DocumentState.WITHDRAWN}
    withdrawn = world.registry.documents.get("acme", second)
    assert withdrawn.reason == "rollback from version 2 to 1"
    assert world.registry.documents.tenants_with_admitted() == ()


def test_promoting_a_version_again_brings_its_documents_back(world: World) -> None:
    document = world.document().document
    world.version()
    _rollback(world)
    assert _promote(world, 1) == 1
    assert world.document_states() == {document: DocumentState.LEARNED}
    assert world.registry.documents.get("acme", document).reason == ""


def test_promoting_an_older_version_withdraws_what_it_does_not_hold(world: World) -> None:
    first = world.document().document
    world.version()
    second = world.document().document
    world.version()
    _promote(world, 1)
    assert world.document_states() == {first: DocumentState.LEARNED, second: DocumentState.WITHDRAWN}
    assert _rollback(world) == 2
    assert world.document_states() == {first: DocumentState.LEARNED, second: DocumentState.LEARNED}


def test_promoting_a_held_version_learns_its_documents(world: World) -> None:
    held = world.version(promote=False)
    activation = world.registry.versions.promote(
        "acme", held.version, expected_etag=world.registry.tenants.get("acme").etag, actor="ann", reason="looked at it"
    )
    assert (activation.kind, activation.previous, activation.activation) == ("promote", 0, 1)
    assert set(world.document_states().values()) == {DocumentState.LEARNED}
    assert world.registry.tenants.activated() == (world.registry.tenants.get("acme"),)


def test_stale_etag_is_a_conflict_and_changes_nothing(world: World) -> None:
    stale = world.registry.tenants.get("acme").etag
    world.version()
    world.version()
    before = _facts(world)
    with pytest.raises(Conflict):
        world.registry.versions.rollback("acme", expected_etag=stale, actor="ann", reason="late")
    with pytest.raises(Conflict):
        world.registry.versions.promote("acme", 1, expected_etag=stale, actor="ann", reason="late")
    assert _facts(world) == before


def test_active_version_is_not_promoted_again(world: World) -> None:
    world.version()
    before = _facts(world)
    with pytest.raises(FailedPrecondition) as refused:
        _promote(world, 1)
    assert refused.value.reason == "ALREADY_ACTIVE"
    with pytest.raises(FailedPrecondition):
        _rollback(world, 1)
    assert _facts(world) == before


def test_base_model_is_rolled_back_to_and_not_promoted(world: World) -> None:
    world.version()
    with pytest.raises(InvalidArgument):
        _promote(world, 0)
    assert _rollback(world, 0) == 0


def test_version_of_another_tenant_is_not_found(world: World) -> None:
    world.version("globex")
    with pytest.raises(NotFound):
        _promote(world, 1)
    with pytest.raises(NotFound):
        world.registry.versions.get("acme", 1)


def test_same_request_id_moves_the_pointer_once(world: World) -> None:
    world.version()
    world.version()
    etag = world.registry.tenants.get("acme").etag
    ask = {"expected_etag": etag, "actor": "ann", "reason": "wrong", "request_id": "r1"}
    first = world.registry.versions.rollback("acme", **ask)  # type: ignore[arg-type]
    before = _facts(world)
    assert world.registry.versions.rollback("acme", **ask) == first  # type: ignore[arg-type]
    assert _facts(world) == before
    with pytest.raises(InvalidArgument):
        world.registry.versions.rollback("acme", **{**ask, "to_version": 0})  # type: ignore[arg-type]


def test_same_request_id_promotes_once_even_after_a_rollback(world: World) -> None:
    held = world.version(promote=False)
    ask = {"expected_etag": None, "actor": "ann", "reason": "good", "request_id": "r1"}
    first = world.registry.versions.promote("acme", held.version, **ask)  # type: ignore[arg-type]
    _rollback(world)
    assert world.registry.versions.promote("acme", held.version, **ask) == first  # type: ignore[arg-type]
    assert world.registry.tenants.get("acme").desired_version == 0


def test_quarantined_version_that_is_active_is_left_in_the_same_act(world: World) -> None:
    first = world.document().document
    world.version()
    second = world.document().document
    world.version()
    marked = world.registry.versions.quarantine("acme", 2, actor="supervisor", reason="engine died")
    assert (marked.state, marked.reason) == (VersionState.QUARANTINED, "engine died")
    newest = world.registry.versions.activations("acme").items[0]
    assert (newest.kind, newest.version, newest.previous, newest.actor) == ("rollback", 1, 2, "supervisor")
    assert world.document_states() == {first: DocumentState.LEARNED, second: DocumentState.WITHDRAWN}
    with pytest.raises(FailedPrecondition) as refused:
        _promote(world, 2)
    assert refused.value.reason == "VERSION_QUARANTINED"


def test_quarantining_an_idle_version_leaves_the_pointer_alone(world: World) -> None:
    world.version()
    world.version()
    before = world.registry.tenants.get("acme")
    world.registry.versions.quarantine("acme", 1, actor="ann", reason="bad source")
    assert world.registry.tenants.get("acme") == before
    assert _rollback(world) == 0


def test_quarantining_twice_changes_nothing(world: World) -> None:
    world.version()
    first = world.registry.versions.quarantine("acme", 1, actor="ann", reason="bad")
    before = _facts(world)
    assert world.registry.versions.quarantine("acme", 1, actor="bob", reason="worse") == first
    assert _facts(world) == before
    with pytest.raises(InvalidArgument):
        world.registry.versions.quarantine("acme", 0, actor="ann", reason="no")


def test_rollback_passes_over_quarantined_versions(world: World) -> None:
    for _ in range(3):
        world.version()
    world.registry.versions.quarantine("acme", 2, actor="ann", reason="bad")
    assert _rollback(world) == 1
    with pytest.raises(FailedPrecondition):
        _rollback(world, 2)


def test_activations_are_listed_newest_first(world: World) -> None:
    for _ in range(3):
        world.version()
    page = world.registry.versions.activations("acme", page_size=2)
    rest = world.registry.versions.activations("acme", page_size=2, page_token=page.next_page_token)
    assert [found.activation for found in (*page.items, *rest.items)] == [3, 2, 1]
    assert rest.next_page_token == ""


def test_versions_are_listed_newest_first_with_their_documents(world: World) -> None:
    for _ in range(3):
        world.version()
    page = world.registry.versions.page("acme", page_size=2)
    rest = world.registry.versions.page("acme", page_size=2, page_token=page.next_page_token)
    found = [*page.items, *rest.items]
    assert [version.version for version in found] == [3, 2, 1]
    assert [len(version.documents) for version in found] == [3, 2, 1]
    assert found[0] == world.registry.versions.get("acme", 3)


def test_observed_is_what_each_replica_said_last(world: World) -> None:
    now = world.clock()
    first = Observed(replica="r1", tenant="acme", version=0, activation=0, observed_at=now)
    newer = Observed(replica="r1", tenant="acme", version=1, activation=1, observed_at=now + timedelta(seconds=1))
    other = Observed(replica="r2", tenant="acme", version=0, activation=0, observed_at=now)
    for replica in ("r1", "r2"):
        world.registry.replicas.announce(replica, identity=replica, address="")
    for observed in (first, other, newer):
        world.registry.versions.record_observed(observed)
    assert world.registry.versions.observed("acme") == (newer, other)
    assert world.registry.versions.observed("globex") == ()
    with pytest.raises(NotFound):
        world.registry.versions.record_observed(
            Observed(replica="r1", tenant="nobody", version=0, activation=0, observed_at=now)
        )  # fmt: skip


def test_suspended_version_gives_way_to_the_one_before_it_and_withdraws_nothing(world: World) -> None:
    first = world.document().document
    world.version()
    second = world.document().document
    world.version()
    learned = {first: DocumentState.LEARNED, second: DocumentState.LEARNED}
    versions = world.registry.versions
    moved = versions.suspend("acme", 2, actor="serve", reason="in use at two deaths of the engine")
    assert moved is not None
    assert (moved.kind, moved.version, moved.previous) == ("suspend", 1, 2)
    assert world.document_states() == learned
    assert versions.get("acme", 2).state is VersionState.READY
    assert versions.suspend("acme", 2, actor="serve", reason="again") is None
    back = versions.resume("acme", 2, actor="serve", reason="the engine lived when it was tried alone")
    assert back is not None
    assert (back.kind, back.version, world.document_states()) == ("resume", 2, learned)
    assert _rollback(world) == 1
    assert world.document_states() == {first: DocumentState.LEARNED, second: DocumentState.WITHDRAWN}


def test_suspended_version_is_not_resumed_once_a_person_moved_the_pointer(world: World) -> None:
    first = world.document().document
    world.version()
    second = world.document().document
    world.version()
    world.registry.versions.suspend("acme", 2, actor="serve", reason="in use at two deaths of the engine")
    assert _rollback(world) == 0
    assert world.document_states() == {first: DocumentState.WITHDRAWN, second: DocumentState.WITHDRAWN}
    before = _facts(world)
    assert world.registry.versions.resume("acme", 2, actor="serve", reason="late") is None
    assert _facts(world) == before


def test_person_may_promote_a_suspended_version(world: World) -> None:
    document = world.document().document
    world.version()
    world.registry.versions.suspend("acme", 1, actor="serve", reason="in use at two deaths of the engine")
    _promote(world, 1)
    assert world.registry.tenants.get("acme").desired_version == 1
    assert world.document_states() == {document: DocumentState.LEARNED}


def test_refusals_name_the_version_and_the_field_as_the_api_does(world: World) -> None:
    with pytest.raises(NotFound) as missing:
        _promote(world, 9)
    assert missing.value.resource == "tenants/acme/adapters/v9"
    with pytest.raises(InvalidArgument) as refused:
        _promote(world, 0)
    assert refused.value.field == "name"

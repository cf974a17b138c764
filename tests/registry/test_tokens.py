"""Tokens in the registry: digests only, names used once, revoked for good."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from sealserve.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from sealserve.records.principals import INCLUDED, MAX_TOKEN_DAYS, SECRET_PREFIX, Principal, Role, digest_of, new_secret
from tests.registry.world import World

ANN = Principal(name="ann", role=Role.ADMIN, tenants=None)
BOB = Principal(name="acme/bob", role=Role.OPERATOR, tenants=("acme",))
DAY = 86_400.0


def test_secret_leads_to_its_principal_and_no_other_does(world: World) -> None:
    _, first = world.registry.tokens.create(ANN, actor="test")
    _, second = world.registry.tokens.create(BOB, actor="test")
    assert world.registry.tokens.find(first).principal == ANN
    assert world.registry.tokens.find(second).principal == BOB
    for wrong in ("", "x", first[:-1], first + "x", new_secret()):
        with pytest.raises(Unauthenticated):
            world.registry.tokens.find(wrong)


def test_registry_keeps_no_secret(world: World) -> None:
    token, secret = world.registry.tokens.create(ANN, actor="test")
    assert secret.startswith(SECRET_PREFIX)
    assert len(secret) >= len(SECRET_PREFIX) + 43  # 256 bits in base64
    with world.registry._database.read() as tx:
        stored = str(tx.rows(text("SELECT * FROM tokens"))) + str(tx.rows(text("SELECT * FROM audit")))
    assert secret not in stored
    assert secret.removeprefix(SECRET_PREFIX) not in stored
    assert digest_of(secret).startswith(token.token)


def test_revoked_token_opens_nothing_and_stays_listed(world: World) -> None:
    token, secret = world.registry.tokens.create(BOB, actor="test")
    world.registry.tokens.revoke(token.token, actor="ann")
    with pytest.raises(Unauthenticated):
        world.registry.tokens.find(secret)
    assert [one.revoked_at for one in world.registry.tokens.all()] == [world.clock()]
    before = world.registry.audit.head()
    world.registry.tokens.revoke(token.token, actor="ann")
    assert world.registry.audit.head() == before


def test_every_token_made_and_revoked_is_in_the_audit_trail_of_its_tenant(world: World) -> None:
    token, _ = world.registry.tokens.create(BOB, actor="ann")
    world.registry.tokens.revoke(token.token, actor="cid")
    rows = world.registry.audit.rows(tenant="acme")[-2:]
    assert [(row.action, row.actor, row.details["principal"]) for row in rows] == [
        ("token.create", "ann", "acme/bob"),
        ("token.revoke", "cid", "acme/bob"),
    ]


def test_name_once_used_is_never_given_again(world: World) -> None:
    token, _ = world.registry.tokens.create(BOB, actor="ann")
    world.registry.tokens.revoke(token.token, actor="ann")
    before = world.registry.audit.head(), world.registry.tokens.all()
    with pytest.raises(AlreadyExists):
        world.registry.tokens.create(BOB, actor="ann")
    assert (world.registry.audit.head(), world.registry.tokens.all()) == before


@pytest.mark.parametrize(
    ("principal", "refused"),
    [
        (Principal(name="", role=Role.VIEWER, tenants=None), InvalidArgument),
        (Principal(name="Ann", role=Role.VIEWER, tenants=None), InvalidArgument),
        (Principal(name="worker:w1", role=Role.VIEWER, tenants=None), InvalidArgument),
        (Principal(name="a" * 128, role=Role.VIEWER, tenants=None), InvalidArgument),
        (Principal(name="bob", role=Role.VIEWER, tenants=()), InvalidArgument),
        (Principal(name="bob", role=Role.ADMIN, tenants=("acme",)), InvalidArgument),
        (Principal(name="bob", role=Role.ENGINE, tenants=("acme",)), InvalidArgument),
        (Principal(name="bob", role=Role.VIEWER, tenants=("nobody",)), NotFound),
    ],
)
def test_principal_that_cannot_be_is_refused_and_leaves_nothing(
    world: World, principal: Principal, refused: type[Exception]
) -> None:
    before = world.registry.audit.head()
    with pytest.raises(refused):
        world.registry.tokens.create(principal, actor="ann")
    assert world.registry.tokens.all() == ()
    assert world.registry.audit.head() == before


def test_secret_of_a_file_is_enrolled_once_and_stays_revoked(world: World) -> None:
    secret = new_secret()
    first = world.registry.tokens.enrol(ANN, secret, actor="serve")
    assert world.registry.tokens.enrol(ANN, secret, actor="serve") == first
    world.registry.tokens.enrol(ANN, new_secret(), actor="serve")
    world.registry.tokens.revoke(first.token, actor="cid")
    world.registry.tokens.enrol(ANN, secret, actor="serve")
    with pytest.raises(Unauthenticated):
        world.registry.tokens.find(secret)


def test_last_administrator_cannot_be_locked_out(world: World) -> None:
    token, secret = world.registry.tokens.create(ANN, actor="test")
    with pytest.raises(FailedPrecondition) as refused:
        world.registry.tokens.revoke(token.token, actor="ann")
    assert refused.value.reason == "LAST_ADMIN"
    assert world.registry.tokens.find(secret).principal == ANN


def test_token_opens_the_door_to_its_last_moment_and_then_says_so_to_its_holder_alone(world: World) -> None:
    token, secret = world.registry.tokens.create(BOB, actor="test", expires_days=2)
    assert token.expires_at == world.clock() + timedelta(days=2)
    world.clock.advance(2 * DAY - 1)
    assert world.registry.tokens.find(secret) == token
    world.clock.advance(1)
    with pytest.raises(Unauthenticated, match="2026-01-04 03:04") as expired:
        world.registry.tokens.find(secret)
    assert expired.value.reason == "TOKEN_EXPIRED"
    for stranger in (new_secret(), secret[:-1]):
        with pytest.raises(Unauthenticated) as unknown:
            world.registry.tokens.find(stranger)
        assert unknown.value.reason == "UNAUTHENTICATED"
    world.registry.tokens.revoke(token.token, actor="ann")
    with pytest.raises(Unauthenticated) as revoked:
        world.registry.tokens.find(secret)
    assert revoked.value.reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("days", [-1, 0, MAX_TOKEN_DAYS + 1, 2**31, 10**30])
def test_days_that_cannot_be_are_refused_and_leave_nothing(world: World, days: int) -> None:
    before = world.registry.audit.head()
    with pytest.raises(InvalidArgument) as refused:
        world.registry.tokens.create(BOB, actor="ann", expires_days=days)
    assert refused.value.field == "expires_days"
    assert (world.registry.tokens.all(), world.registry.audit.head()) == ((), before)


def test_token_that_ends_makes_none_that_ends_later(world: World) -> None:
    world.registry.tokens.create(ANN, actor="test", expires_days=10)
    before = world.registry.tokens.all(), world.registry.audit.head()
    for days in (None, 11):
        with pytest.raises(PermissionDenied) as refused:
            world.registry.tokens.create(BOB, actor="ann", expires_days=days)
        assert refused.value.reason == "OUTLIVES_ITS_MAKER"
    assert (world.registry.tokens.all(), world.registry.audit.head()) == before
    assert world.registry.tokens.create(BOB, actor="ann", expires_days=10)[0].expires_at


def test_administrator_whose_token_ends_is_no_reason_to_revoke_the_last_one_that_does_not(world: World) -> None:
    lasting, _ = world.registry.tokens.create(ANN, actor="test")
    ending, _ = world.registry.tokens.create(replace(ANN, name="cid"), actor="ann", expires_days=30)
    with pytest.raises(FailedPrecondition):
        world.registry.tokens.revoke(lasting.token, actor="cid")
    assert world.registry.tokens.revoke(ending.token, actor="ann").revoked_at is not None


def test_unknown_token_cannot_be_revoked(world: World) -> None:
    with pytest.raises(NotFound):
        world.registry.tokens.revoke("0" * 12, actor="ann")
    assert world.registry.tokens.all() == ()


def test_roles_contain_themselves_and_nobody_but_the_engine_has_the_engine() -> None:
    assert all(role in INCLUDED[role] for role in Role)
    assert [role for role in Role if Role.ENGINE in INCLUDED[role]] == [Role.ENGINE]
    assert [role for role in Role if Role.ADMIN in INCLUDED[role]] == [Role.ADMIN]
    assert Role.APPROVER not in INCLUDED[Role.OPERATOR]


def test_whoever_has_a_token_from_somebody_is_made_by_those_before_too(world: World) -> None:
    def make(name: str, *, by: str) -> None:
        world.registry.tokens.create(Principal(name=name, role=Role.VIEWER, tenants=("acme",)), actor=by)

    for name, maker in (("bea", "ann"), ("cid", "bea"), ("dan", "cid"), ("eve", "root"), ("root", "root")):
        make(name, by=maker)
    (bea, *_) = world.registry.tokens.all()
    world.registry.tokens.revoke(bea.token, actor="ann")
    people = ["ann", "bea", "cid", "dan", "eve", "root", "nobody"]
    assert world.registry.tokens.made_by(["ann"], among=people) == {"bea", "cid", "dan"}
    assert world.registry.tokens.made_by(["root", "cid"], among=people) == {"root", "eve", "dan"}
    assert world.registry.tokens.made_by(["ann"], among=["dan", "eve"]) == {"dan"}
    assert world.registry.tokens.made_by([], among=people) == frozenset()
    assert world.registry.tokens.made_by(["ann"], among=[]) == frozenset()


def test_token_is_read_by_its_id(world: World) -> None:
    made, _ = world.registry.tokens.create(Principal(name="bea", role=Role.VIEWER, tenants=("acme",)), actor="ann")
    world.registry.tokens.revoke(made.token, actor="ann")
    assert world.registry.tokens.get(made.token).principal == made.principal
    with pytest.raises(NotFound):
        world.registry.tokens.get("0" * 12)

"""Tokens in the registry: digests only, names used once, revoked for good."""

import pytest
from sqlalchemy import text

from sealserve.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unauthenticated
from sealserve.people import INCLUDED, SECRET_PREFIX, Principal, Role, digest_of, new_secret
from tests.registry.world import World

ANN = Principal(name="ann", role=Role.ADMIN, tenants=None)
BOB = Principal(name="acme/bob", role=Role.OPERATOR, tenants=("acme",))


def test_secret_leads_to_its_principal_and_no_other_does(world: World) -> None:
    _, first = world.registry.create_token(ANN, actor="test")
    _, second = world.registry.create_token(BOB, actor="test")
    assert world.registry.principal_of(first) == ANN
    assert world.registry.principal_of(second) == BOB
    for wrong in ("", "x", first[:-1], first + "x", new_secret()):
        with pytest.raises(Unauthenticated):
            world.registry.principal_of(wrong)


def test_registry_keeps_no_secret(world: World) -> None:
    token, secret = world.registry.create_token(ANN, actor="test")
    assert secret.startswith(SECRET_PREFIX)
    assert len(secret) >= len(SECRET_PREFIX) + 43  # 256 bits in base64
    with world.registry._database.read() as tx:
        stored = str(tx.rows(text("SELECT * FROM tokens"))) + str(tx.rows(text("SELECT * FROM audit")))
    assert secret not in stored
    assert secret.removeprefix(SECRET_PREFIX) not in stored
    assert digest_of(secret).startswith(token.token)


def test_revoked_token_opens_nothing_and_stays_listed(world: World) -> None:
    token, secret = world.registry.create_token(BOB, actor="test")
    world.registry.revoke_token(token.token, actor="ann")
    with pytest.raises(Unauthenticated):
        world.registry.principal_of(secret)
    assert [one.revoked_at for one in world.registry.tokens()] == [world.clock()]
    before = world.registry.audit_head()
    world.registry.revoke_token(token.token, actor="ann")
    assert world.registry.audit_head() == before


def test_every_token_made_and_revoked_is_in_the_audit_trail_of_its_tenant(world: World) -> None:
    token, _ = world.registry.create_token(BOB, actor="ann")
    world.registry.revoke_token(token.token, actor="cid")
    rows = world.registry.audit_rows(tenant="acme")[-2:]
    assert [(row.action, row.actor, row.details["principal"]) for row in rows] == [
        ("token.create", "ann", "acme/bob"),
        ("token.revoke", "cid", "acme/bob"),
    ]


def test_name_once_used_is_never_given_again(world: World) -> None:
    token, _ = world.registry.create_token(BOB, actor="ann")
    world.registry.revoke_token(token.token, actor="ann")
    before = world.registry.audit_head(), world.registry.tokens()
    with pytest.raises(AlreadyExists):
        world.registry.create_token(BOB, actor="ann")
    assert (world.registry.audit_head(), world.registry.tokens()) == before


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
    before = world.registry.audit_head()
    with pytest.raises(refused):
        world.registry.create_token(principal, actor="ann")
    assert world.registry.tokens() == ()
    assert world.registry.audit_head() == before


def test_secret_of_a_file_is_enrolled_once_and_stays_revoked(world: World) -> None:
    secret = new_secret()
    first = world.registry.enrol_token(ANN, secret, actor="serve")
    assert world.registry.enrol_token(ANN, secret, actor="serve") == first
    world.registry.enrol_token(ANN, new_secret(), actor="serve")
    world.registry.revoke_token(first.token, actor="cid")
    world.registry.enrol_token(ANN, secret, actor="serve")
    with pytest.raises(Unauthenticated):
        world.registry.principal_of(secret)


def test_last_administrator_cannot_be_locked_out(world: World) -> None:
    token, secret = world.registry.create_token(ANN, actor="test")
    with pytest.raises(FailedPrecondition) as refused:
        world.registry.revoke_token(token.token, actor="ann")
    assert refused.value.reason == "LAST_ADMIN"
    assert world.registry.principal_of(secret) == ANN


def test_unknown_token_cannot_be_revoked(world: World) -> None:
    with pytest.raises(NotFound):
        world.registry.revoke_token("0" * 12, actor="ann")
    assert world.registry.tokens() == ()


def test_roles_contain_themselves_and_nobody_but_the_engine_has_the_engine() -> None:
    assert all(role in INCLUDED[role] for role in Role)
    assert [role for role in Role if Role.ENGINE in INCLUDED[role]] == [Role.ENGINE]
    assert [role for role in Role if Role.ADMIN in INCLUDED[role]] == [Role.ADMIN]
    assert Role.APPROVER not in INCLUDED[Role.OPERATOR]

"""Tenants: names, listing, doing a request once."""

import base64
import json
from functools import partial

import pytest

from sealserve.errors import AlreadyExists, InvalidArgument, NotFound
from tests.registry.world import World


def test_malformed_tenant_name_is_refused_and_nothing_is_kept(world: World) -> None:
    before = world.registry.audit.head()
    for name in ("", "a", "Acme", "1acme", "acme-", "acme_1", "a" * 64, "../etc", "acme\n", "ácme"):
        with pytest.raises(InvalidArgument) as refused:
            world.registry.tenants.create(name, actor="ann")
        assert refused.value.field == "tenant_id"
    assert world.registry.audit.head() == before


def test_new_tenant_answers_with_the_base_model(world: World) -> None:
    tenant = world.registry.tenants.create("base", display_name="Büro 7", actor="ann")
    assert (tenant.desired_version, tenant.activation, tenant.display_name) == (0, 0, "Büro 7")
    assert world.registry.tenants.get("base") == tenant
    assert world.registry.tenants.activated() == ()


def test_tenant_is_made_once(world: World) -> None:
    with pytest.raises(AlreadyExists):
        world.registry.tenants.create("acme", actor="ann")
    assert len(world.registry.tenants.page().items) == 2


def test_unknown_tenant_is_not_found(world: World) -> None:
    for name in ("nobody", "../etc", ""):
        with pytest.raises(NotFound):
            world.registry.tenants.get(name)


def test_same_request_id_makes_one_tenant(world: World) -> None:
    first = world.registry.tenants.create("initech", actor="ann", request_id="r1")
    again = world.registry.tenants.create("initech", actor="ann", request_id="r1")
    assert first == again
    assert world.registry.audit.head()[0] == 3


def test_request_id_with_other_arguments_is_refused(world: World) -> None:
    world.registry.tenants.create("initech", actor="ann", request_id="r1")
    with pytest.raises(InvalidArgument) as refused:
        world.registry.tenants.create("initech", display_name="other", actor="ann", request_id="r1")
    assert refused.value.field == "request_id"


def test_overlong_request_id_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgument) as refused:
        world.registry.tenants.create("initech", actor="ann", request_id="r" * 129)
    assert refused.value.field == "request_id"
    with pytest.raises(NotFound):
        world.registry.tenants.get("initech")


def test_pages_give_every_tenant_once(world: World) -> None:
    for number in range(5):
        world.registry.tenants.create(f"tenant-{number}", actor="ann")
    names, token = [], ""
    while True:
        page = world.registry.tenants.page(page_size=3, page_token=token)
        names += [tenant.tenant for tenant in page.items]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(["acme", "globex", *(f"tenant-{number}" for number in range(5))])


def test_malformed_page_token_is_refused(world: World) -> None:
    huge = base64.urlsafe_b64encode(json.dumps(["acme/documents/", 2**70]).encode()).decode()
    for token in ("x", "%%%", "bm90IGpzb24=", "W10=", "WyJ0ZW5hbnRzIiwgN10=", "é", huge):
        for listing in (world.registry.tenants.page, partial(world.registry.documents.page, "acme")):
            with pytest.raises(InvalidArgument) as refused:
                listing(page_token=token)
            assert refused.value.field == "page_token"


def test_page_token_of_another_listing_is_refused(world: World) -> None:
    for _ in range(2):
        world.document("acme")
        world.document("globex")
    token = world.registry.documents.page("acme", page_size=1).next_page_token
    assert token
    with pytest.raises(InvalidArgument) as refused:
        world.registry.documents.page("globex", page_size=1, page_token=token)
    assert refused.value.field == "page_token"


def test_page_size_out_of_bounds_is_refused(world: World) -> None:
    for size in (0, -1, 1001):
        with pytest.raises(InvalidArgument) as refused:
            world.registry.tenants.page(page_size=size)
        assert refused.value.field == "page_size"

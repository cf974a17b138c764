"""The digests of tokens in memory: those that are there are found, and made-up ones are not."""

import sys

import pytest

from sealserve.records.principals import Principal, Role, digest_of
from sealserve.registry import issued_tokens
from tests.registry.world import World


def make(world: World, name: str) -> str:
    principal = Principal(name=name, role=Role.VIEWER, tenants=None)
    return digest_of(world.registry.tokens.create(principal, actor="test")[1])


def test_token_is_found_after_the_next_look(world: World) -> None:
    issued = world.registry.issued_tokens
    first = make(world, "ann")
    assert not issued.has(first)
    issued.refresh()
    assert issued.has(first)
    second = make(world, "ben")
    assert not issued.has(second)
    issued.refresh()
    assert issued.has(first)
    assert issued.has(second)
    assert not any(issued.has(digest_of(f"guess {n}")) for n in range(1000))


def test_more_tokens_than_one_look_reads_are_all_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issued_tokens, "_BATCH", 2)
    digests = [make(world, f"ann{n}") for n in range(5)]
    world.registry.issued_tokens.refresh()
    assert all(map(world.registry.issued_tokens.has, digests))


def test_revoked_token_is_not_worth_asking_about(world: World) -> None:
    digest = make(world, "ann")
    world.registry.tokens.revoke(digest[:12], actor="test")
    world.registry.issued_tokens.refresh()
    assert not world.registry.issued_tokens.has(digest)


def test_memory_does_not_grow_with_the_tokens(world: World) -> None:
    issued = world.registry.issued_tokens
    size = sys.getsizeof(issued._bits)
    for number in range(20):
        make(world, f"ann{number}")
    issued.refresh()
    assert sys.getsizeof(issued._bits) == size <= 2**21 + 100

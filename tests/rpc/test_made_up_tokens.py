"""Tokens that nobody has are refused from memory, and those that another server has just made are accepted."""

import asyncio
import threading
from pathlib import Path

import pytest

from sealserve.errors import SealserveError, StorageFailed, Unauthenticated, Unavailable
from sealserve.records.principals import Principal, Role, Token
from sealserve.registry.registry import Registry
from sealserve.rpc.authorisation import unknown_tokens
from sealserve.rpc.authorisation.known_tokens import REMEMBER_SECONDS, KnownTokens
from tests.registry.world import FakeClock

ANN = Principal(name="ann", role=Role.VIEWER, tenants=None)
BEN = Principal(name="ben", role=Role.VIEWER, tenants=None)


class Server:
    """Knows tokens as a server does that shares the registry with others, and counts what it asks."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts")
        self.clock = FakeClock()
        self.lookups = self.looks = 0
        self.failure: SealserveError | None = None
        self.may_look = threading.Event()
        self.may_look.set()
        self.tokens = KnownTokens(self.find, issued=self, grace_seconds=300, clock=lambda: self.clock().timestamp())

    def find(self, secret: str) -> Token:
        self.lookups += 1
        if self.failure is not None:
            raise self.failure
        return self.registry.tokens.find(secret)

    def has(self, digest: str) -> bool:
        return self.registry.issued_tokens.has(digest)

    def refresh(self) -> None:
        self.looks += 1
        self.may_look.wait(30)
        if self.failure is not None:
            raise self.failure
        self.registry.issued_tokens.refresh()

    def make(self, principal: Principal) -> str:
        return self.registry.tokens.create(principal, actor="test")[1]


@pytest.fixture
def here(tmp_path: Path) -> Server:
    return Server(tmp_path)


async def ended(here: Server, *secrets: str) -> list[Principal | BaseException]:
    return await asyncio.gather(*(here.tokens.principal_of(each) for each in secrets), return_exceptions=True)


async def test_made_up_tokens_are_refused_without_a_lookup(here: Server) -> None:
    secret = here.make(ANN)
    guesses = [f"guess {n}" for n in range(60)]
    assert {type(end) for end in await ended(here, *guesses)} == {Unauthenticated}
    assert (here.looks, here.lookups) == (1, 0)
    assert await here.tokens.principal_of(secret) == ANN
    assert (here.looks, here.lookups) == (1, 1)


async def test_token_that_another_server_has_made_works_at_once_even_in_a_flood(here: Server) -> None:
    assert {type(end) for end in await ended(here, "guess 1")} == {Unauthenticated}
    flood = asyncio.ensure_future(ended(here, *(f"guess {n}" for n in range(2, 60))))
    await asyncio.sleep(0)
    secret = here.make(BEN)
    assert await asyncio.wait_for(here.tokens.principal_of(secret), 10) == BEN
    await flood
    assert here.lookups == 1


async def test_calls_with_unknown_tokens_are_bounded(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_tokens, "MOST_UNKNOWN", 20)
    here.may_look.clear()
    asked = asyncio.ensure_future(ended(here, *(f"guess {n}" for n in range(30))))
    for _ in range(5):
        await asyncio.sleep(0)
    here.may_look.set()
    kinds = [type(end) for end in await asked]
    assert (kinds.count(Unavailable), kinds.count(Unauthenticated)) == (10, 20)
    assert [type(end) for end in await ended(here, "guess 99")] == [Unauthenticated]


async def test_revoked_token_that_is_shown_again_and_again_is_looked_up_now_and_then(here: Server) -> None:
    secret = here.make(ANN)
    assert await here.tokens.principal_of(secret) == ANN
    here.registry.tokens.revoke(here.registry.tokens.find(secret).token, actor="test")
    here.clock.advance(REMEMBER_SECONDS)
    lookups = here.lookups
    for _ in range(5):
        assert [type(end) for end in await ended(here, secret)] == [Unauthenticated]
    assert here.lookups == lookups + 1
    here.clock.advance(REMEMBER_SECONDS)
    assert [type(end) for end in await ended(here, secret)] == [Unauthenticated]
    assert here.lookups == lookups + 2


async def test_while_the_database_is_away_the_known_go_on_and_the_unknown_are_told_to_come_again(here: Server) -> None:
    secret = here.make(ANN)
    assert await here.tokens.principal_of(secret) == ANN
    here.failure = StorageFailed("away")
    here.clock.advance(60)
    assert await here.tokens.principal_of(secret) == ANN
    assert [type(end) for end in await ended(here, "guess")] == [StorageFailed]
    here.failure = None
    assert [type(end) for end in await ended(here, "guess")] == [Unauthenticated]


async def test_call_that_is_given_up_leaves_its_place(here: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknown_tokens, "MOST_UNKNOWN", 1)
    here.may_look.clear()
    call = asyncio.ensure_future(here.tokens.principal_of("guess 1"))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    here.may_look.set()
    assert [type(end) for end in await ended(here, "guess 2")] == [Unauthenticated]

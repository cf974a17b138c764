"""While the database is away, those who were let in are let in, and answers go on."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from sealserve.errors import SealserveError, StorageFailed, Unauthenticated
from sealserve.records.principals import Principal, Role, Token
from sealserve.registry.sql.database import Database
from sealserve.rpc.authorisation.known_tokens import REMEMBER_SECONDS, KnownTokens
from tests.registry.world import FakeClock
from tests.rpc.harness import Served, token_for

ANN = Principal(name="ann", role=Role.VIEWER, tenants=None)
GRACE = 300.0


class Registry:
    """Finds one token, until it is away or has revoked it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.failure: SealserveError | None = None
        self.lookups = 0
        self.token = token_for(ANN)
        self.tokens = KnownTokens(
            self.find, grace_seconds=GRACE, patience_seconds=0.2, clock=lambda: self.clock().timestamp(),
            utc_now=self.clock,
        )  # fmt: skip

    def find(self, secret: str) -> Token:
        self.lookups += 1
        if self.failure is not None:
            raise self.failure
        if secret != "s":
            raise Unauthenticated("unknown")
        return self.token


async def test_token_that_was_valid_outlives_an_outage_of_minutes_and_no_more() -> None:
    here = Registry()
    assert await here.tokens.principal_of("s") == ANN
    here.failure = StorageFailed("away")
    for _ in range(4):
        here.clock.advance(GRACE / 5)
        assert await here.tokens.principal_of("s") == ANN
    here.clock.advance(GRACE / 2)
    with pytest.raises(StorageFailed):
        await here.tokens.principal_of("s")
    here.failure = None
    assert await here.tokens.principal_of("s") == ANN


async def test_registry_that_does_not_answer_is_asked_once_in_a_while() -> None:
    here = Registry()
    assert await here.tokens.principal_of("s") == ANN
    here.failure = StorageFailed("away")
    here.clock.advance(REMEMBER_SECONDS)
    lookups = here.lookups
    for _ in range(10):
        assert await here.tokens.principal_of("s") == ANN
    assert here.lookups == lookups + 1


async def test_registry_that_hangs_is_not_waited_for() -> None:
    here, over = Registry(), threading.Event()
    assert await here.tokens.principal_of("s") == ANN
    here.clock.advance(REMEMBER_SECONDS)
    find = here.find
    here.tokens._find = lambda secret: (over.wait(30), find(secret))[1]
    try:
        assert await asyncio.wait_for(here.tokens.principal_of("s"), 20) == ANN
    finally:
        over.set()


async def test_token_seen_revoked_or_expired_stays_so_through_an_outage() -> None:
    here = Registry()
    assert await here.tokens.principal_of("s") == ANN
    here.failure = Unauthenticated("revoked")
    here.clock.advance(REMEMBER_SECONDS)
    with pytest.raises(Unauthenticated):
        await here.tokens.principal_of("s")
    here.failure = StorageFailed("away")
    with pytest.raises(Unauthenticated):
        await here.tokens.principal_of("s")
    here.clock.advance(REMEMBER_SECONDS)
    with pytest.raises(StorageFailed):
        await here.tokens.principal_of("s")
    here.failure = None
    here.token = token_for(ANN, expires_at=here.clock() + timedelta(seconds=30))
    assert await here.tokens.principal_of("s") == ANN
    here.failure = StorageFailed("away")
    here.clock.advance(60)
    with pytest.raises(Unauthenticated):
        await here.tokens.principal_of("s")


async def test_token_revoked_here_is_forgotten_and_the_others_are_not() -> None:
    here = Registry()
    assert await here.tokens.principal_of("s") == ANN
    here.failure = StorageFailed("away")
    here.tokens.forget("f" * 12)
    assert await here.tokens.principal_of("s") == ANN
    here.tokens.forget(here.token.token)
    with pytest.raises(StorageFailed):
        await here.tokens.principal_of("s")


async def test_many_who_show_the_same_token_share_a_lookup() -> None:
    here = Registry()
    found = await asyncio.gather(*(here.tokens.principal_of("s") for _ in range(50)))
    assert set(map(str, found)) == {str(ANN)}
    assert here.lookups == 1


async def test_answers_go_on_without_the_database(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealserve.rpc.authorisation.known_tokens.REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr(here.answers, "_registry", Remembering())
    assert (await here.client.ask("acme", "Where?")).text

    @contextmanager
    def away(_: Database) -> Iterator[None]:
        raise StorageFailed("the server cannot be reached")
        yield  # type: ignore[unreachable]

    with monkeypatch.context() as outage:
        outage.setattr(Database, "read", away)
        for _ in range(3):
            assert (await here.client.ask("acme", "Where?")).text
        assert await here.client.count_tokens("acme", "Where?")
        with pytest.raises(StorageFailed):
            await here.client.tenant("acme")
    assert (await here.client.tenant("acme")).tenant == "acme"


class Remembering:
    """A registry whose tenants are known, as `Answers` knows those it answered before."""

    @property
    def tenants(self) -> "Remembering":
        return self

    def get(self, tenant: str) -> str:
        return tenant

"""Which thumbs are votes on a version under watch, and whose."""

from sealserve.records.feedback import GivenAnswer, Opinion, Thumb, VersionFeedback
from tests.registry.world import World

UP, DOWN = Thumb.UP, Thumb.DOWN


def answered(world: World, request: str, *, asker: str = "", version: int = 2, tenant: str = "acme") -> None:
    given = GivenAnswer(
        answer_request=request, tenant=tenant, version=version, activation=2, asker=asker, answered_at=world.clock()
    )
    world.registry.answers.keep([given])


def rated(world: World, request: str, thumb: Thumb, *, version: int = 2) -> None:
    world.registry.feedback.add("acme", Opinion(answer_request=request, version=version, thumb=thumb), actor="app")


def votes(world: World, *, version: int = 2) -> VersionFeedback | None:
    return world.registry.rollouts.thumbs().get(("acme", version))


def watched(world: World) -> None:
    for _ in range(2):
        world.version()
    world.version("globex")
    assert world.registry.rollouts.open("acme", share=0.0) is not None


def test_thumb_on_an_answer_that_this_version_gave_nobody_is_no_vote(world: World) -> None:
    watched(world)
    for request, tenant, version in (("other version", "acme", 1), ("other tenant", "globex", 2)):
        answered(world, request, tenant=tenant, version=version)
    for request in ("never given", "other version", "other tenant"):
        rated(world, request, DOWN)
    assert world.registry.rollouts.thumbs() == {}
    assert len(world.registry.feedback.page("acme").items) == 3  # kept, as it was given
    answered(world, "never given")  # what is written late counts then
    assert votes(world) == VersionFeedback(version=2, up=0, down=1)


def test_one_key_has_one_vote_on_a_version_the_newest(world: World) -> None:
    watched(world)
    for number in range(5):
        answered(world, f"r{number}", asker="ann")
        rated(world, f"r{number}", DOWN)
    assert votes(world) == VersionFeedback(version=2, up=0, down=1)
    answered(world, "r5", asker="ann")
    rated(world, "r5", UP)
    assert votes(world) == VersionFeedback(version=2, up=1, down=0)
    answered(world, "r6", asker="ann", version=1)
    rated(world, "r6", DOWN, version=1)
    assert (votes(world), votes(world, version=1)) == (
        VersionFeedback(version=2, up=1, down=0),
        VersionFeedback(version=1, up=0, down=1),
    )


def test_without_a_key_every_answer_stands_for_itself_once(world: World) -> None:
    watched(world)
    for request in ("r1", "r1", "r2"):  # a caller may give two calls the same id
        answered(world, request)
    for request in ("r1", "r2"):
        rated(world, request, DOWN)
    assert votes(world) == VersionFeedback(version=2, up=0, down=2)


def test_id_that_looks_like_another_key_takes_nobodys_vote(world: World) -> None:
    watched(world)
    answered(world, "r1", asker="f" * 16)
    answered(world, "f" * 16)
    rated(world, "r1", UP)
    rated(world, "f" * 16, DOWN)
    assert votes(world) == VersionFeedback(version=2, up=1, down=1)


def test_version_that_is_promoted_once_more_is_not_judged_by_what_it_answered_before(world: World) -> None:
    watched(world)
    answered(world, "r1")
    rated(world, "r1", DOWN)
    world.clock.advance(60)
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="disliked")
    world.registry.versions.promote("acme", 2, expected_etag=None, actor="ann", reason="once more")
    assert world.registry.rollouts.open("acme", share=0.0) is not None
    assert votes(world) is None
    answered(world, "r2")
    rated(world, "r2", DOWN)
    assert votes(world) == VersionFeedback(version=2, up=0, down=1)

"""The strikes of the kill figure that fall on a watch: as it begins, gives more traffic, passes, or goes back.

Makes a watch do each of these within seconds on a real daemon: questions give it pairs, thumbs evidence.
"""

import time
from collections.abc import Callable
from contextlib import suppress

from sealserve.bench.reliability.kill_site import POLL_SECONDS, SETTLE_SECONDS, TENANT, Site
from sealserve.errors import NotFound, SealserveError, Unavailable
from sealserve.records.feedback import Opinion, Thumb
from sealserve.records.rollouts import WatchState
from sealserve.records.versions import BASE_VERSION, VersionState

WATCH_POINTS = tuple(
    f"registry.rollouts.{act}.{edge}_commit"
    for edge in ("before", "after")
    for act in ("end", "roll_back", "open", "move_stage")
)
_MAX_TOKENS = 12


def kill_while_watching(site: Site, point: str) -> None:
    """`serve` dies at a commit of a watch; the next `serve` takes the watch up, and it ends once, as it would have."""
    version = comeback(site)
    ending = WatchState.ROLLED_BACK if "roll_back" in point else WatchState.PASSED
    site.asked.append((TENANT, version))
    request_id = f"watched-{len(site.asked)}"
    site.serve.stop()
    with suppress(SealserveError):  # which is what the strike is for
        site.start_serve(SEALSERVE_FAULT=f"{point}:kill", SEALSERVE_POLICY__THRESHOLDS=site.watched_policy)
        site.client.promote(TENANT, version, reason="bench kill", request_id=request_id)
        _use(site, version, ending, until=lambda: not site.serve.is_running)
    site.expect_death_at(point)
    site.serve.kill()
    site.start_serve(SEALSERVE_POLICY__THRESHOLDS=site.watched_policy)
    moved = site.client.promote(TENANT, version, reason="bench kill", request_id=request_id)
    _use(site, version, ending, until=lambda: _state(site, moved.activation) is not WatchState.OPEN)
    found = site.client.watch(TENANT, moved.activation).watch
    expected = found.incumbent if ending is WatchState.ROLLED_BACK else version
    if (found.state, site.client.tenant(TENANT).desired_version) != (ending, expected):
        site.note_broken(f"after {point} the watch was {found.state} ({found.reason}) and not {ending}")
    site.say(f"serve killed at {point}; the watch {found.state}; {site.progress()}")


def comeback(site: Site) -> int:
    """Return a version that may be promoted and of which nobody thinks badly; learn one if there is none.

    The active version may be left for it. Raises: Unavailable (no cycle gives a version).
    """
    for _ in range(2):
        desired = site.client.tenant(TENANT).desired_version
        ready = {one.version for one in site.client.adapters(TENANT) if one.state is VersionState.READY}
        if found := sorted(ready - {desired} - site.disliked):
            return found[-1]
        if desired != BASE_VERSION and desired not in site.disliked:
            site.client.rollback(TENANT, reason="bench kill")
            return desired
        site.push()
        site.settle()
    raise Unavailable(f"no version to watch: {site.progress()}")


def _use(site: Site, version: int, ending: WatchState, *, until: Callable[[], bool]) -> None:
    """Ask, each time something else, until that holds or time is up; dislike the version's answers if it is to go.

    Raises: SealserveError (the server went away).
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while not until() and time.monotonic() < deadline:
        site.questions += 1
        answer = site.client.ask(TENANT, f"What does note {site.questions} say?", max_tokens=_MAX_TOKENS)
        if ending is WatchState.ROLLED_BACK and answer.version == version:
            site.disliked.add(version)
            opinion = Opinion(answer_request=answer.answering.request_id, version=version, thumb=Thumb.DOWN)
            site.client.give_feedback(TENANT, opinion)
        time.sleep(POLL_SECONDS / 5)  # pairs are compared while nobody waits


def _state(site: Site, activation: int) -> WatchState:
    """Return how the watch stands; one that has not begun yet is as good as open."""
    try:
        return site.client.watch(TENANT, activation).watch.state
    except NotFound:
        return WatchState.OPEN

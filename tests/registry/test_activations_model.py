"""Random histories of publishing, promoting, rolling back and quarantining, beside a model of ten lines."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sealserve.errors import FailedPrecondition
from sealserve.records.documents import DocumentState
from sealserve.records.versions import VersionState
from sealserve.registry.registry import Registry
from tests.registry.world import FakeClock, World

pytestmark = pytest.mark.slow  # plays hundreds of random histories

NUMBERS = st.integers(min_value=0, max_value=5)


class PointerMachine(RuleBasedStateMachine):
    """The model: a stack of versions, what each holds, and which are quarantined."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        directory = Path(self.folder.name)
        url = f"sqlite:///{directory / 'r.db'}"
        registry = Registry.open(url, directory / "artifacts", clock=FakeClock())
        registry.tenants.create("acme", actor="ann")
        self.world = World(registry=registry, clock=FakeClock(), directory=directory, url=url)
        self.stack = [0]
        self.held: dict[int, set[str]] = {0: set()}
        self.quarantined: set[int] = set()
        self.activations = 0

    def teardown(self) -> None:
        assert self.world.registry.audit.verify() > 0
        self.world.registry.close()
        self.folder.cleanup()

    @rule(promote=st.booleans())
    def publish(self, promote: bool) -> None:
        document = self.world.document().document
        version = self.world.version(promote=promote).version
        self.held[version] = self.held[self.stack[-1]] | {document}
        if promote:
            self._push(version)

    @rule(version=NUMBERS)
    def promote(self, version: int) -> None:
        if version not in self.held or version == 0:
            return
        is_allowed = version not in self.quarantined and version != self.stack[-1]
        if self._done(is_allowed, lambda: self._promoted(version)):
            self._push(version)

    @rule()
    def roll_back(self) -> None:
        below = [v for v in self.stack[:-1] if v not in self.quarantined and v != self.stack[-1]]
        is_allowed = self.stack[-1] != 0
        if self._done(is_allowed, lambda: self._rolled_back(None)):
            self._pop_to(below[-1])

    @rule(version=NUMBERS)
    def roll_back_to(self, version: int) -> None:
        if version not in self.held:
            return
        is_allowed = (
            version in self._reachable() and version not in self.quarantined and version != self.stack[-1]
        )  # fmt: skip
        if self._done(is_allowed, lambda: self._rolled_back(version)):
            self._pop_to(version)

    @rule(version=NUMBERS)
    def quarantine(self, version: int) -> None:
        if version not in self.held or version == 0:
            return
        marked = self.world.registry.versions.quarantine("acme", version, actor="ann", reason="bad")
        assert marked.state is VersionState.QUARANTINED
        self.quarantined.add(version)
        if self.stack[-1] == version:
            below = [v for v in self.stack[:-1] if v not in self.quarantined]
            self._pop_to(below[-1])

    @invariant()
    def pointer_and_documents_are_the_models(self) -> None:
        tenant = self.world.registry.tenants.get("acme")
        assert (tenant.desired_version, tenant.activation) == (self.stack[-1], self.activations)
        learned = {name for name, state in self.world.document_states().items() if state is DocumentState.LEARNED}
        assert learned == self.held[self.stack[-1]]

    def _reachable(self) -> list[int]:
        return self.stack[:-1] if self.stack[-1] != 0 else []

    def _push(self, version: int) -> None:
        self.stack.append(version)
        self.activations += 1

    def _pop_to(self, version: int) -> None:
        self.stack.pop()
        while self.stack[-1] != version:
            self.stack.pop()
        self.activations += 1

    def _promoted(self, version: int) -> None:
        self.world.registry.versions.promote("acme", version, expected_etag=None, actor="ann", reason="by hand")

    def _rolled_back(self, version: int | None) -> None:
        self.world.registry.versions.rollback(
            "acme", to_version=version, expected_etag=None, actor="ann", reason="wrong"
        )

    def _done(self, is_allowed: bool, act: Callable[[], None]) -> bool:
        head = self.world.registry.audit.head()
        try:
            act()
        except FailedPrecondition:
            assert not is_allowed
            assert self.world.registry.audit.head() == head
            return False
        assert is_allowed
        return True


TestPointerModel = PointerMachine.TestCase
TestPointerModel.settings = settings(
    max_examples=10, stateful_step_count=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip

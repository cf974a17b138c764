"""What a tenant may keep is bounded; whoever is over it is told what to do, and nothing is changed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import event

from sealserve.errors import QuotaExceeded
from sealserve.records.canary_suites import CanaryItem
from sealserve.records.documents import NewDocument
from sealserve.records.feedback import Opinion, Thumb
from sealserve.records.principals import Principal, Role
from sealserve.records.question_sets import EvaluationItem
from sealserve.registry.registry import Registry
from sealserve.settings.limits import LimitSettings

LIMITS = LimitSettings(document_bytes=100, feedback_rows=2, question_bytes=2000, question_versions=4, tokens=2)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts", limits=LIMITS)
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="ann")
    yield registry
    registry.close()


def add_document(registry: Registry, number: int, tenant: str = "acme", *, size: int = 40) -> None:
    new = NewDocument(title=f"D{number}", text="x" * size, source="test", media_type="text/plain")
    registry.documents.add(tenant, new, actor="ann")


def add_feedback(registry: Registry, number: int, tenant: str = "acme", *, request_id: str = "") -> None:
    opinion = Opinion(answer_request=f"r{number}", version=0, thumb=Thumb.UP)
    registry.feedback.add(tenant, opinion, actor="ann", request_id=request_id)


def add_set(registry: Registry, number: int, tenant: str = "acme", *, size: int = 20) -> None:
    items = [EvaluationItem(question=f"{number} {'q' * size}?", answer="a")]
    registry.question_sets.add(tenant, "days", items, actor="ann")


def put_suite(registry: Registry, number: int, tenant: str = "acme", *, size: int = 20) -> None:
    items = [CanaryItem(item="one", prompt=f"{number} {'p' * size}?", answer="a")]
    registry.canary_suites.put(tenant, "tone", items, actor="ann")


def make_token(registry: Registry, number: int, tenant: str = "acme") -> None:
    principal = Principal(name=f"{tenant}/p{number}", role=Role.VIEWER, tenants=(tenant,))
    registry.tokens.create(principal, actor="ann")


@pytest.mark.parametrize(
    ("add", "most", "advice"),
    [
        (add_document, 2, "limits.document_bytes"),
        (add_feedback, 2, "limits.feedback_rows"),
        (add_set, 4, "limits.question_versions"),
        (put_suite, 4, "limits.question_versions"),
        (make_token, 2, "revoke"),
    ],
)
def test_one_too_many_is_refused_and_changes_nothing(
    registry: Registry, add: Callable[..., None], most: int, advice: str
) -> None:
    for number in range(most):
        add(registry, number)
    before = registry.audit.head()
    with pytest.raises(QuotaExceeded, match=advice) as refused:
        add(registry, most)
    assert refused.value.subject == "tenants/acme"
    assert registry.audit.head() == before
    add(registry, most, "globex")


@pytest.mark.parametrize("add", [add_set, put_suite])
def test_bytes_of_questions_are_bounded_over_sets_and_suites_together(
    registry: Registry, add: Callable[..., None]
) -> None:
    put_suite(registry, 1, size=800)
    add_set(registry, 2, size=800)
    with pytest.raises(QuotaExceeded, match=r"limits\.question_bytes"):
        add(registry, 3, size=800)


def test_what_is_there_already_can_be_handed_in_again(registry: Registry) -> None:
    for number in range(2):
        add_document(registry, number)
        add_feedback(registry, number, request_id=f"same {number}")
    add_document(registry, 1)
    add_feedback(registry, 1, request_id="same 1")
    assert len(registry.documents.page("acme").items) == len(registry.feedback.page("acme").items) == 2


def test_unlearned_documents_make_room(registry: Registry) -> None:
    for number in range(2):
        add_document(registry, number)
    gone = registry.documents.page("acme").items[0].document
    registry.unlearning.unlearn("acme", gone, actor="ann", reason="", request_id="")
    add_document(registry, 2)
    assert len(registry.documents.page("acme").items) == 3


def test_revoked_tokens_make_room_but_not_for_ever(registry: Registry) -> None:
    for number in range(40):
        make_token(registry, number)
        registry.tokens.revoke(registry.tokens.all()[-1].token, actor="ann")
    with pytest.raises(QuotaExceeded, match=r"limits\.tokens"):
        make_token(registry, 40)


def test_listings_count_items_and_do_not_read_them(registry: Registry) -> None:
    put_suite(registry, 1)
    add_set(registry, 1)
    statements: list[str] = []
    event.listen(registry._database._engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    suites, sets = registry.canary_suites.page("acme").items, registry.question_sets.page("acme").items
    assert [(one.items, one.item_count) for one in suites] == [((), 1)]
    assert [(one.items, one.item_count) for one in sets] == [((), 1)]
    assert statements
    assert not [one for one in statements if ".items" in one]
    assert len(registry.canary_suites.get("acme", "tone").items) == len(
        registry.question_sets.get("acme", "days").items
    )

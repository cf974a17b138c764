"""Records to the wire and back: nothing is lost, nothing is mixed up, and strangers' values are survived."""

from datetime import UTC, datetime
from enum import StrEnum

import pytest
from google.protobuf.descriptor import EnumDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sealserve.errors import InvalidArgument
from sealserve.prompts import Template
from sealserve.records.approvals import ApprovalState
from sealserve.records.audit import AuditRow
from sealserve.records.cycles import CycleState, SelfEdit, Step
from sealserve.records.documents import Document, DocumentState
from sealserve.records.principals import Role
from sealserve.records.rollouts import WatchState
from sealserve.records.scores import Decision, Measured, NotApplicable, Scorecard, Unmeasured, Verdict
from sealserve.records.sources import ItemState, SourceKind
from sealserve.records.tenants import Tenant
from sealserve.records.versions import Activation, AdapterVersion, Lineage, VersionState
from sealserve.rpc.page_tokens import position_of, position_token
from sealserve.v1 import (
    adapter_pb2,
    approval_pb2,
    cycle_pb2,
    document_pb2,
    scorecard_pb2,
    source_pb2,
    token_pb2,
    watch_pb2,
)
from sealserve.wire import adapters, cycles, documents, names, scores, tenants
from sealserve.wire.enums import enum_from_wire, enum_to_wire
from sealserve.wire.values import tree_from_wire, tree_to_wire

ENUMS: list[tuple[type[StrEnum], EnumDescriptor]] = [
    (WatchState, watch_pb2.DESCRIPTOR.enum_types_by_name["WatchState"]),
    (DocumentState, document_pb2.DESCRIPTOR.enum_types_by_name["DocumentState"]),
    (CycleState, cycle_pb2.DESCRIPTOR.enum_types_by_name["CycleState"]),
    (Step, cycle_pb2.DESCRIPTOR.enum_types_by_name["CycleStep"]),
    (Template, cycle_pb2.DESCRIPTOR.enum_types_by_name["Template"]),
    (Decision, scorecard_pb2.DESCRIPTOR.enum_types_by_name["Decision"]),
    (VersionState, adapter_pb2.DESCRIPTOR.enum_types_by_name["AdapterState"]),
    (Role, token_pb2.DESCRIPTOR.enum_types_by_name["PrincipalRole"]),
    (SourceKind, source_pb2.DESCRIPTOR.enum_types_by_name["SourceKind"]),
    (ItemState, source_pb2.DESCRIPTOR.enum_types_by_name["ItemState"]),
    (ApprovalState, approval_pb2.DESCRIPTOR.enum_types_by_name["ApprovalState"]),
]

TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS = st.from_regex(r"[a-z0-9]{1,16}", fullmatch=True)
TENANTS = st.from_regex(r"[a-z][a-z0-9]{1,20}", fullmatch=True)
COUNTS = st.integers(0, 10**8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SCORES = st.one_of(
    st.builds(Unmeasured, why=WORDS),
    st.builds(
        Measured,
        n=COUNTS,
        candidate=NUMBERS,
        incumbent=NUMBERS,
        gain=NUMBERS,
        gain_low=NUMBERS,
        gain_high=NUMBERS,
        better=COUNTS,
        worse=COUNTS,
    ),
)
CARDS = st.builds(
    Scorecard,
    confirm=SCORES,
    replay=st.one_of(SCORES, st.builds(NotApplicable, because=WORDS)),
    canary=SCORES,
    unknown=SCORES,
    open_book=st.none() | st.floats(0, 1),
)


@pytest.mark.parametrize(("kind", "descriptor"), ENUMS, ids=lambda value: getattr(value, "__name__", ""))
def test_every_member_has_its_number_and_comes_back(kind: type[StrEnum], descriptor: EnumDescriptor) -> None:
    numbers = {enum_to_wire(member, descriptor) for member in kind}
    assert numbers == set(descriptor.values_by_number) - {0}
    assert all(
        enum_from_wire(enum_to_wire(member, descriptor), kind, descriptor=descriptor) is member for member in kind
    )
    assert enum_to_wire(None, descriptor) == 0
    assert enum_from_wire(0, kind, descriptor=descriptor) is None
    assert enum_from_wire(999, kind, descriptor=descriptor) is None


@given(st.builds(Tenant, tenant=TENANTS, display_name=WORDS, desired_version=COUNTS, activation=COUNTS, etag=WORDS,
                 created_at=TIMES))  # fmt: skip
def test_tenant_comes_back(tenant: Tenant) -> None:
    assert tenants.tenant_from_wire(tenants.tenant_to_wire(tenant)) == tenant


@given(st.builds(Document, tenant=TENANTS, document=IDS, digest=WORDS, title=WORDS, source=WORDS, media_type=WORDS,
                 size_bytes=COUNTS, state=st.sampled_from(DocumentState), reason=WORDS, created_at=TIMES))  # fmt: skip
def test_document_comes_back(document: Document) -> None:
    assert documents.document_from_wire(documents.document_to_wire(document)) == document


@given(CARDS)
def test_scorecard_comes_back(card: Scorecard) -> None:
    assert scores.scorecard_from_wire(scores.scorecard_to_wire(card)) == card


@given(st.builds(Verdict, decision=st.sampled_from(Decision), reasons=st.lists(WORDS, max_size=3).map(tuple),
                 policy=WORDS, policy_digest=WORDS))  # fmt: skip
def test_verdict_comes_back(verdict: Verdict) -> None:
    assert scores.verdict_from_wire(scores.verdict_to_wire(verdict)) == verdict


@given(st.builds(SelfEdit, tenant=TENANTS, cycle=IDS, self_edit=IDS, document=IDS, template=st.sampled_from(Template),
                 text=WORDS, seed=COUNTS, admitted=st.booleans(), reason=WORDS))  # fmt: skip
def test_self_edit_comes_back(edit: SelfEdit) -> None:
    assert cycles.self_edit_from_wire(cycles.self_edit_to_wire(edit)) == edit


@given(st.builds(Activation, tenant=TENANTS, activation=COUNTS, version=COUNTS, previous=COUNTS,
                 kind=st.sampled_from(["promote", "rollback"]), actor=WORDS, reason=WORDS,
                 created_at=TIMES))  # fmt: skip
def test_activation_comes_back(activation: Activation) -> None:
    assert adapters.activation_from_wire(adapters.activation_to_wire(activation)) == activation


@given(st.builds(AuditRow, sequence=COUNTS, at=TIMES, actor=WORDS, action=WORDS, tenant=st.one_of(TENANTS, st.just("")),
                 subject=WORDS, details=st.dictionaries(WORDS, st.one_of(COUNTS, WORDS, st.booleans(), st.none())),
                 previous_hash=WORDS, hash=WORDS))  # fmt: skip
def test_audit_row_comes_back(row: AuditRow) -> None:
    assert tenants.audit_row_from_wire(tenants.audit_row_to_wire(row)) == row


def test_a_tree_reads_the_same_every_time_whatever_order_the_wire_keeps_it_in() -> None:
    names = [f"key{number}" for number in range(50)]
    back = tree_from_wire(tree_to_wire({name: {inner: [{"b": 1, "a": 2}] for inner in names} for name in names}))
    assert list(back) == sorted(names)
    assert list(back["key7"]) == sorted(names)
    assert list(back["key7"]["key3"][0]) == ["a", "b"]


def test_version_without_lineage_is_still_shown() -> None:
    version = AdapterVersion(
        tenant="acme", version=3, artifact="a" * 64, engine_name="acme@v3", state=VersionState.QUARANTINED,
        reason="not finite", cycle="c1", parent=0, documents=("d1",), lineage=Lineage(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    back = adapters.adapter_from_wire(adapters.adapter_to_wire(version, active=False))
    assert back.lineage == Lineage(recipe={}, self_edits=(), base_digest="", settings_digest="")
    assert (back.state, back.reason, back.documents) == (version.state, version.reason, version.documents)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "acme",
        "tenants/",
        "tenants/Acme",
        "tenants/acme/",
        "tenants/acme\n",
        "tenants/acme/adapters/v1",
        "tenants/-",
        "tenants/" + "a" * 64,
        "tenants/acme-",
        "tenants/äcme",
        "projects/acme",
    ],
)
def test_malformed_tenant_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        names.tenant_of(name)
    assert refused.value.field == "parent"


@pytest.mark.parametrize("version", ["", "v0", "v01", "3", "V3", "v-1", "v9999999999", "base2", "latest"])
def test_malformed_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidArgument):
        names.adapter_of(f"tenants/acme/adapters/{version}")


def test_names_say_what_they_name() -> None:
    assert names.adapter_of(names.adapter_name("acme", 0)) == ("acme", 0)
    assert names.adapter_of(names.adapter_name("acme", 12)) == ("acme", 12)
    assert names.document_of(names.document_name("acme", "d1")) == ("acme", "d1")
    assert names.cycle_of(names.cycle_name("acme", "c1")) == ("acme", "c1")


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))))
def test_made_up_page_token_is_refused(token: str) -> None:
    if not token:
        assert position_of(token, "list") == 0
        return
    with pytest.raises(InvalidArgument):
        position_of(token, "list")


def test_page_token_leads_on_in_its_own_listing_only() -> None:
    token = position_token("list", 50)
    assert position_of(token, "list") == 50
    with pytest.raises(InvalidArgument):
        position_of(token, "other list")

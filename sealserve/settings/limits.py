"""The section [limits]: how much of the server one tenant may use."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from sealserve.settings.section import Section, from_text


class LimitSettings(Section):
    """[limits]: one tenant's share, in use and in storage.

    Administrators and the installation's own processes are not limited by what is in use. A principal that is bound to
    no tenant has a whole share of its own, and its calls count for the tenants that they name as well.
    """

    calls_in_flight: int = Field(128, ge=2, description="calls of one tenant at the same time")
    watches: int = Field(32, ge=2, description="watches and document streams of one tenant at the same time")
    calls_per_minute: int = Field(6000, ge=60, description="calls of one tenant in a minute")
    writes_per_minute: int = Field(1200, ge=60, description="of these, calls that write to the registry")
    bytes_per_minute: int = Field(128 * 2**20, ge=2**20, description="bytes that one tenant may send in a minute")
    tokens_per_minute: int = Field(
        600_000, ge=1000, description="tokens in one tenant's prompts and answers in a minute"
    )
    principal_share: float = Field(
        0.5, gt=0, le=1, description="part of the limits above that one principal of the tenant may use alone"
    )
    running_share: float = Field(
        0.5, gt=0, le=1,
        description="part of serve.max_concurrent_requests that one tenant may hold; 1: all of it, for a single tenant",
    )  # fmt: skip
    weights: Annotated[dict[str, Annotated[float, Field(ge=0.1, le=100)]], BeforeValidator(from_text)] = Field(
        {},
        description="tenant = weight: a tenant of weight 2 gets twice the running answers, and twice the turns among "
        "those who wait, of one that is not named",
    )
    document_bytes: int = Field(10 * 2**30, ge=1, description="bytes of documents that one tenant may keep")
    feedback_rows: int = Field(100_000, ge=1, description="opinions on answers that one tenant may keep")
    question_bytes: int = Field(
        256 * 2**20, ge=1, description="bytes of evaluation sets and canary suites of one tenant, all versions together"
    )
    question_versions: int = Field(
        2000, ge=1, description="evaluation sets and canary suites that one tenant may keep, each version counted"
    )
    tokens: int = Field(500, ge=1, description="tokens of one tenant that are valid at the same time")

"""A customer of the installation."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer. `desired_version` is what should answer; `etag` changes with every activation."""

    tenant: str
    display_name: str
    desired_version: int
    activation: int  # sequence number of the activation that set desired_version; 0 before the first
    etag: str
    created_at: datetime

"""A running server, as the registry knows it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One `serve`. Its name is the operator's or made from host and port; its identity is that of one process."""

    replica: str
    identity: str
    address: str
    started_at: datetime
    heartbeat_at: datetime

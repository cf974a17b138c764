"""The typed client: `Client` for scripts and the command line, `AsyncClient` for asyncio. Both have the same methods.

Errors are the classes of `sealserve.errors`; results are frozen records. A `Client` is thread-safe; an `AsyncClient`
belongs to the event loop of its first call.
"""

from sealserve.client.async_client import AsyncClient
from sealserve.client.calls.documents import NewDocument
from sealserve.client.sync_client import Client
from sealserve.network import Tls

__all__ = ["AsyncClient", "Client", "NewDocument", "Tls"]

"""The typed client: `Client` for scripts and the command line, `AsyncClient` for asyncio. Both have the same methods.

Errors come back as the classes of `sealserve.errors`; results are frozen records.
"""

from sealserve.client.asynchronous import AsyncClient
from sealserve.client.document_calls import NewDocument
from sealserve.client.synchronous import Client
from sealserve.network import Tls

__all__ = ["AsyncClient", "Client", "NewDocument", "Tls"]

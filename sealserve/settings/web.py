"""The section [web]: where the page for approvals listens.

The page is a client of `serve`, which decides what the page may show and do.
"""

from typing import ClassVar

from pydantic import Field

from sealserve.settings.listener import ListenerSettings


class WebSettings(ListenerSettings):
    """[web]: the page for approvals. Beyond loopback it needs TLS, unless `insecure` is set."""

    section: ClassVar[str] = "web"

    address: str = Field(
        "127.0.0.1:7433", description="host:port of the page for approvals; off: `sealserve up` starts no page"
    )

"""The section [sources]: how far the sources of documents may go."""

from pathlib import Path

from pydantic import Field

from sealserve.settings.section import Section


class SourceSettings(Section):
    """[sources]: limits of what is fetched from sources of documents (`sealserve source`)."""

    local_directory: Path | None = Field(
        None,
        description="directory below which sources may read files of this machine, each tenant in the folder of its "
        "name; unset: no source may",
    )
    allow_private_addresses: bool = Field(
        False, description="true: sources may fetch from loopback, private and link-local addresses"
    )
    max_per_tenant: int = Field(20, ge=1, description="sources that one tenant may have")
    max_items: int = Field(10_000, ge=1, description="items that are taken from one source")
    max_listing_bytes: int = Field(16 * 2**20, ge=1024, description="largest feed or sitemap, unpacked, in bytes")
    max_sync_bytes: int = Field(512 * 2**20, ge=1024, description="bytes fetched in one sync; the rest follows later")
    max_sync_seconds: float = Field(1800, gt=0, description="time of one sync; the rest follows later")
    max_redirects: int = Field(5, ge=0, description="redirects that are followed from one address")
    max_depth: int = Field(3, ge=1, description="sitemaps within sitemaps")
    requests_per_second: float = Field(2.0, gt=0, description="requests to one source in a second")
    request_seconds: float = Field(30, gt=0, description="time of one request, from its start to the last byte")
    parallel: int = Field(2, ge=1, description="syncs that run in this process at the same time")
    poll_seconds: float = Field(5.0, gt=0, description="time between two looks for sources that are due")
    max_vanished_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="part of a mirrored source's items that may leave it between two syncs; when more do, nothing is "
        "forgotten until `sealserve source sync --accept-removals`",
    )
    webhook_tolerance_seconds: float = Field(
        300, gt=0, description="how far the time that a webhook's sender signs may differ from this machine's"
    )

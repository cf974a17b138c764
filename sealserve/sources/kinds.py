"""Chooses the connector for a kind of source, and checks where a source on this machine may be."""

from pathlib import Path

from sealserve.errors import InvalidArgument
from sealserve.records.sources import NewSource, Source, SourceKind
from sealserve.settings.section import read_secret
from sealserve.settings.sources import SourceSettings
from sealserve.sources.connector import Connector, Limits, SourceFailed, Spec

_LOCAL = (SourceKind.DIRECTORY, SourceKind.EXPORT)


def spec_of(source: Source | NewSource, tenant: str, settings: SourceSettings, *, max_item_bytes: int) -> Spec:
    """Return all that a connector has to know, the secret included.

    Raises: InvalidArgument (a place on this machine that the source may not read), BadConfig (the secret is not set).
    """
    location = source.location
    if is_local(source):
        location = str(_allowed(location, tenant, settings.local_directory))
    return Spec(
        kind=source.kind.value,
        name=source.name,
        location=location,
        limits=Limits(
            max_items=settings.max_items,
            max_item_bytes=max_item_bytes,
            max_listing_bytes=settings.max_listing_bytes,
            max_total_bytes=settings.max_sync_bytes,
            max_redirects=settings.max_redirects,
            max_depth=settings.max_depth,
            requests_per_second=settings.requests_per_second,
            request_seconds=settings.request_seconds,
            allow_private_addresses=settings.allow_private_addresses,
        ),
        secret=read_secret(f"source {source.name}", source.secret_variable),
        include=source.include,
        branch=source.branch,
        linked_pages=source.linked_pages,
    )


def is_local(source: Source | NewSource) -> bool:
    """Return whether the source is on this machine."""
    is_local_git = source.kind is SourceKind.GIT and not source.location.startswith(("https://", "http://"))
    return source.kind in _LOCAL or is_local_git


def open_connector(spec: Spec) -> Connector:
    """Return the connector of a source. Raises: SourceFailed (its packages are not installed; its location)."""
    try:
        return _connector(spec)
    except ModuleNotFoundError as error:
        text = f"this server lacks {error.name}: pip install 'sealserve[sources,documents]' there"
        raise SourceFailed(text, reason="NOT_INSTALLED") from error


def _connector(spec: Spec) -> Connector:
    """Import a kind only when it is needed: none needs the packages of another."""
    match SourceKind(spec.kind):
        case SourceKind.DIRECTORY:
            from sealserve.sources.folders import FolderConnector

            return FolderConnector(spec)
        case SourceKind.EXPORT:
            from sealserve.sources.exports import ExportConnector

            return ExportConnector(spec)
        case SourceKind.FEED:
            from sealserve.sources.feeds import FeedConnector

            return FeedConnector(spec)
        case SourceKind.SITEMAP:
            from sealserve.sources.sitemaps import SitemapConnector

            return SitemapConnector(spec)
        case SourceKind.GIT:
            from sealserve.sources.git_repositories import GitConnector

            return GitConnector(spec)
        case SourceKind.OBJECTS:
            from sealserve.sources.object_stores import S3Connector

            return S3Connector(spec)
        case SourceKind.WEBHOOK:
            raise SourceFailed("a webhook has nothing to fetch: items are sent to it", reason="WEBHOOK")


def _allowed(location: str, tenant: str, root: Path | None) -> Path:
    """Return the whole path of a place below the tenant's folder. Raises: InvalidArgument."""
    if root is None:
        text = "no source may read files of this machine: the operator has to set sources.local_directory"
        raise InvalidArgument(text, field="location")
    own = (root / tenant).resolve()
    try:
        place = (own / location).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InvalidArgument(f"location {location[:200]!r} cannot be looked up", field="location") from error
    if not place.is_relative_to(own):
        text = f"location must lie below sources.local_directory/{tenant}; {location[:200]!r} does not"
        raise InvalidArgument(text, field="location")
    return place

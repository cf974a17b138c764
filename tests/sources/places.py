"""Places that documents come from, one for each kind of source, all with the same few moves."""

import html
import json
import os
import subprocess
import threading
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from sealserve.records.sources import SourceKind
from sealserve.sources.connector import Limits, Spec
from tests.sources.web_site import WebSite, web_site

LIMITS = Limits(
    max_items=50,
    max_item_bytes=20_000,
    max_listing_bytes=200_000,
    max_total_bytes=5_000_000,
    max_redirects=3,
    max_depth=3,
    requests_per_second=10_000.0,
    request_seconds=10.0,
    allow_private_addresses=True,
)


class Place(Protocol):
    """One source that a test changes. An item has a short name, of letters."""

    spec: Spec
    says_what_left: bool  # what is missing in a listing is gone

    def put(self, name: str, text: str) -> None:
        """Make or change an item."""

    def remove(self, name: str) -> None:
        """Take an item away."""


class FolderPlace:
    """Files below a folder."""

    says_what_left = True

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.spec = Spec(kind=SourceKind.DIRECTORY, name="shelf", location=str(root), limits=LIMITS)

    def put(self, name: str, text: str) -> None:
        path = self.root / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        os.utime(path, (1_700_000_000 + len(text), 1_700_000_000 + len(text)))  # it has long been written

    def remove(self, name: str) -> None:
        (self.root / f"{name}.md").unlink()


class ConfluencePlace:
    """A zip archive of HTML pages named for their title and id."""

    says_what_left = True

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.path = root / "space.zip"
        self.pages: dict[str, str] = {}
        self.spec = Spec(kind=SourceKind.EXPORT, name="space", location=str(self.path), limits=LIMITS)
        self._write()

    def put(self, name: str, text: str) -> None:
        self.pages[name] = text
        self._write()

    def remove(self, name: str) -> None:
        del self.pages[name]
        self._write()

    def _write(self) -> None:
        with zipfile.ZipFile(self.path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("DOC/index.html", "<html><body>All pages</body></html>")
            archive.writestr("DOC/styles/site.css", "p {}")
            archive.writestr("DOC/attachments/9/1.html", "<p>attached</p>")
            for name, text in self.pages.items():
                page = f"<html><head><title>Space : {name}</title></head><body><p>{html.escape(text)}</p></body></html>"
                archive.writestr(f"DOC/{name.title()}_{100 + sum(map(ord, name))}.html", page)


class ZendeskPlace:
    """A file of articles, as the API writes them."""

    says_what_left = True

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.path = root / "articles.json"
        self.articles: dict[str, dict[str, Any]] = {}
        self.spec = Spec(kind=SourceKind.EXPORT, name="help", location=str(self.path), limits=LIMITS)
        self._write()

    def put(self, name: str, text: str) -> None:
        number = sum(map(ord, name))
        self.articles[name] = {"id": number, "title": name.title(), "body": f"<p>{html.escape(text)}</p>"}
        self._write()

    def remove(self, name: str) -> None:
        del self.articles[name]
        self._write()

    def _write(self) -> None:
        draft = {"id": 1, "title": "Draft", "body": "<p>Not yet.</p>", "draft": True}
        found = {"count": 1, "articles": [*self.articles.values(), draft], "next_page": None}
        self.path.write_text(json.dumps(found), encoding="utf-8")
        os.utime(self.path, (1_700_000_000, 1_700_000_000))


class FeedPlace:
    """An Atom feed with whole entries."""

    says_what_left = False

    def __init__(self, site: WebSite) -> None:
        self.site = site
        self.entries: dict[str, str] = {}
        self.spec = Spec(kind=SourceKind.FEED, name="news", location=f"{site.address}/feed", limits=LIMITS)
        self._write()

    def put(self, name: str, text: str) -> None:
        self.entries[name] = text
        self._write()

    def remove(self, name: str) -> None:
        del self.entries[name]
        self._write()

    def _write(self) -> None:
        entries = "".join(
            f"<entry><id>urn:{name}</id><title>{name.title()}</title><updated>2026-01-02T00:00:00Z</updated>"
            f"<link href='{self.site.address}/{name}'/>"
            f"<content type='html'>{html.escape(f'<p>{html.escape(text)}</p>')}</content></entry>"
            for name, text in self.entries.items()
        )
        feed = f"<feed xmlns='http://www.w3.org/2005/Atom'><title>News</title><id>urn:news</id>{entries}</feed>"
        self.site.put("/feed", feed, media_type="application/atom+xml")


class SitemapPlace:
    """Pages that a sitemap within an index lists, without dates: only the pages' own ETags tell of changes."""

    says_what_left = True

    def __init__(self, site: WebSite) -> None:
        self.site = site
        self.names: list[str] = []
        self.spec = Spec(kind=SourceKind.SITEMAP, name="site", location=f"{site.address}/sitemap.xml", limits=LIMITS)
        index = f"<sitemapindex><sitemap><loc>{site.address}/pages.xml</loc></sitemap></sitemapindex>"
        site.put("/sitemap.xml", index, media_type="application/xml")
        self._write()

    def put(self, name: str, text: str) -> None:
        self.names = list(dict.fromkeys([*self.names, name]))
        self.site.put(f"/{name}", f"<html><head><title>{name}</title></head><body><p>{text}</p></body></html>")
        self._write()

    def remove(self, name: str) -> None:
        self.names.remove(name)
        self._write()

    def _write(self) -> None:
        urls = "".join(f"<url><loc>{self.site.address}/{name}</loc></url>" for name in self.names)
        pages = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{urls}</urlset>"
        self.site.put_packed("/pages.xml", pages.encode(), media_type="application/xml")


class S3Place:
    """A bucket of moto's server."""

    says_what_left = True

    def __init__(self, endpoint: str) -> None:
        import botocore.session

        session = botocore.session.get_session()
        self.client: Any = session.create_client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        )
        self.bucket = f"handbook-{uuid.uuid4().hex}"  # moto keeps buckets for as long as the process lives
        self.client.create_bucket(Bucket=self.bucket)
        self.spec = Spec(
            kind=SourceKind.OBJECTS,
            name="bucket",
            location=f"s3://{self.bucket}/docs/?endpoint={endpoint}",
            secret="key:secret",
            limits=LIMITS,
        )

    def put(self, name: str, text: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=f"docs/{name}.md", Body=text.encode())

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"docs/{name}.md")


class GitPlace:
    """A repository on disk; with `address`, read over HTTP."""

    says_what_left = True

    def __init__(self, root: Path, *, address: str = "") -> None:
        from dulwich.repo import Repo

        self.root = root
        root.mkdir()
        self.repository = Repo.init(str(root))
        self.spec = Spec(kind=SourceKind.GIT, name="wiki", location=address or str(root), limits=LIMITS)
        (root / "logo.bin").write_bytes(b"\0\1")
        self._commit("logo.bin")

    def put(self, name: str, text: str) -> None:
        (self.root / "docs").mkdir(exist_ok=True)
        (self.root / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
        self._commit(f"docs/{name}.md")

    def remove(self, name: str) -> None:
        (self.root / "docs" / f"{name}.md").unlink()
        self._commit(f"docs/{name}.md")

    def _commit(self, path: str) -> None:
        worktree = self.repository.get_worktree()
        worktree.stage([path])
        worktree.commit(message=b"change", committer=b"Ann <ann@example.com>", author=b"Ann <ann@example.com>")


@contextmanager
def git_server(root: Path) -> Iterator[str]:
    """Serve the repository at `root` over git's smart HTTP protocol; give its address."""
    from dulwich.repo import Repo
    from dulwich.server import Backend
    from dulwich.web import make_wsgi_chain

    class OneRepository(Backend):
        def open_repository(self, path: str) -> Any:
            return Repo(str(root))

    with _serving(make_wsgi_chain(OneRepository())) as address:
        yield f"{address}/wiki"


@contextmanager
def partial_git_server(root: Path) -> Iterator[tuple[str, list[int]]]:
    """Serve the repository at `root` by git itself, which makes partial clones; give its address and the sizes of the
    answers so far.
    """
    subprocess.run(["git", "-C", str(root), "config", "uploadpack.allowFilter", "true"], check=True)
    sizes: list[int] = []

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        names = ("PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "CONTENT_TYPE", "CONTENT_LENGTH")
        variables = {name: environ.get(name, "") for name in names} | {
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            "PATH": os.environ["PATH"],
        }
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        said = subprocess.run(["git", "http-backend"], input=body, env=variables, capture_output=True, check=True)
        head, _, content = said.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        sizes.append(len(content))
        start_response(headers.pop("Status", "200 OK"), list(headers.items()))
        return [content]

    with _serving(answer) as address:
        yield f"{address}/.git", sizes


@contextmanager
def _serving(application: Any) -> Iterator[str]:
    """Serve a WSGI application on loopback; give its address."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server: WSGIServer = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def s3_server() -> Iterator[str]:
    """Run moto's S3 server; give its endpoint."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


KINDS = ("folder", "confluence", "zendesk", "feed", "sitemap", "s3", "git", "git_http")


@contextmanager
def place_of(kind: str, directory: Path) -> Iterator[Place]:
    """Give a new, empty place of that kind."""
    local = {"folder": FolderPlace, "confluence": ConfluencePlace, "zendesk": ZendeskPlace, "git": GitPlace}
    root = directory / "place"
    if kind in local:
        made: Place = local[kind](root)  # type: ignore[assignment]
        yield made
    elif kind == "git_http":
        with git_server(root) as address:
            yield GitPlace(root, address=address)
    elif kind == "s3":
        with s3_server() as endpoint:
            yield S3Place(endpoint)
    else:
        with web_site() as site:
            yield FeedPlace(site) if kind == "feed" else SitemapPlace(site)


def with_limits(spec: Spec, **changes: object) -> Spec:
    """The same source under other limits."""
    return replace(spec, limits=replace(spec.limits, **changes))  # type: ignore[arg-type]

"""A web site on loopback, as tests script it: pages with ETags, redirects, and answers that never end."""

import gzip
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(kw_only=True)
class Page:
    """One answer."""

    body: bytes = b""
    media_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: bool = True
    endless: bool = False


@dataclass(kw_only=True)
class WebSite:
    """What the server answers, by path; `asked` has every path in order, `seen` their headers."""

    address: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    seen: list[dict[str, str]] = field(default_factory=list)

    def put(self, path: str, body: str | bytes, **more: object) -> None:
        """Answer `path` with that body."""
        content = body.encode() if isinstance(body, str) else body
        self.pages[path] = Page(body=content, **more)  # type: ignore[arg-type]

    def redirect(self, path: str, to: str) -> None:
        """Send whoever asks for `path` elsewhere."""
        self.pages[path] = Page(status=302, headers={"Location": to})

    def put_packed(self, path: str, body: bytes, **more: object) -> None:
        """Answer with a gzip-encoded body."""
        self.put(path, gzip.compress(body), headers={"Content-Encoding": "gzip"}, **more)


def _handler(site: WebSite) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.seen.append({name.lower(): value for name, value in self.headers.items()})
            page = site.pages.get(self.path, Page(status=404))
            etag = f'"{hashlib.sha256(page.body).hexdigest()[:16]}"'
            is_same = page.etag and self.headers.get("If-None-Match") == etag
            self.send_response(304 if is_same else page.status)
            if page.status == 200 and page.etag:
                self.send_header("ETag", etag)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", page.media_type)
            if not page.endless:
                self.send_header("Content-Length", "0" if is_same else str(len(page.body)))
            self.end_headers()
            try:
                while page.endless:
                    self.wfile.write(b"x" * 65_536)
                if not is_same:
                    self.wfile.write(page.body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def web_site() -> Iterator[WebSite]:
    """Serve a site on a free port."""
    site = WebSite(address="")
    with serving(lambda: ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))) as port:
        site.address = f"http://127.0.0.1:{port}"
        yield site


@contextmanager
def serving(make: Callable[[], ThreadingHTTPServer]) -> Iterator[int]:
    """Run a server in a thread and give its port."""
    server = make()
    server.daemon_threads = True
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A call as data: the method, the request, and how its response is read. The connections send it."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from sealserve.errors import InvalidArgument
from sealserve.records.pages import Page

T = TypeVar("T")
R = TypeVar("R")

PACKAGE = "sealserve.v1"
PAGE_SIZE = 200
TENANT_KEY = "x-sealserve-tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call: `/package.service/method` with `request`, its response class, and how to read the response."""

    path: str
    request: Message
    response: type[Message]
    read: Callable[[Any], T]


def method_arguments(call: Call[Any]) -> dict[str, Any]:
    """Return the arguments that make a channel's multi-callable for `call`."""
    return {
        "method": call.path,
        "request_serializer": type(call.request).SerializeToString,
        "response_deserializer": call.response.FromString,
    }


def routing(request: Message) -> tuple[tuple[str, str], ...]:
    """Return the metadata by which a balancer can send a tenant's calls to one server, whose adapters and cached
    prefixes are then used best; none for a request that names no tenant.
    """
    for field in ("parent", "name"):
        kind, _, rest = str(getattr(request, field, "")).partition("/")
        if kind == "tenants" and rest.isascii() and rest.isprintable():
            return ((TENANT_KEY, rest.partition("/")[0]),)
    return ()


def check_size(request: Message, *, max_bytes: int) -> None:
    """Return if `request` may be sent. Raises: InvalidArgument (TOO_LARGE), before a byte is sent."""
    size = request.ByteSize()
    if size > max_bytes:
        text = f"the request is {size} bytes; a message has at most {max_bytes}: split the document or shorten the text"
        raise InvalidArgument(text, field="content", reason="TOO_LARGE")


def call(method: str, request: Message, response: type[Message], read: Callable[[Any], T]) -> Call[T]:
    """Return the call of `service/method` in our package."""
    return Call(path=f"/{PACKAGE}.{method}", request=request, response=response, read=read)


def page(field: str, read: Callable[[Any], R]) -> Callable[[Any], Page[R]]:
    """Return how to read a listing whose items are in `field`."""

    def read_page(wire: Any) -> Page[R]:
        return Page(items=tuple(read(item) for item in getattr(wire, field)), next_page_token=wire.next_page_token)

    return read_page


def new_request_id() -> str:
    """Return an id nobody used before."""
    return uuid.uuid4().hex

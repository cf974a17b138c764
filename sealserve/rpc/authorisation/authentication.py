"""The two interceptors that hold every gRPC call against the table of permissions.

`Authentication` decides by the token and by what its owner has used already, before anything of the request is read;
`Tenancy` by the tenant that the request names. To a principal bound to tenants, every other name is one that does not
exist: the same code answers for both, before the registry is asked.
"""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from sealserve.errors import InvalidArgument, SealserveError
from sealserve.rpc.abort import refuse
from sealserve.rpc.authorisation.access import Access, require_seen, require_unbound
from sealserve.rpc.authorisation.permissions import EVERY, METHODS, NONE, PACKAGE
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.rpc.interceptors import Continuation, Handler
from sealserve.wire.channels import shown_secret
from sealserve.wire.names import ANY_TENANT


class Authentication(grpc.aio.ServerInterceptor):
    """Lets calls in over gRPC, by `Access`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler:
        """Refuse with UNAUTHENTICATED, PERMISSION_DENIED or RESOURCE_EXHAUSTED before anything is read."""
        method = details.method.removeprefix(f"/{PACKAGE}.")
        if method == details.method:
            return await continuation(details)
        handler = await continuation(details)
        if handler is None:
            return None  # no such method: UNIMPLEMENTED, to everybody
        try:
            await self._access.enter(method, shown_secret(details.invocation_metadata))
        except SealserveError as error:
            return grpc.stream_stream_rpc_method_handler(refuse(error))
        return handler


class Tenancy(grpc.aio.ServerInterceptor):
    """Hides every tenant that the caller is not bound to. Stands behind `Boundary`, which parses requests."""

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler:
        """Wrap the handlers whose requests name a tenant."""
        handler = await continuation(details)
        need = METHODS.get(details.method.removeprefix(f"/{PACKAGE}."))
        if handler is None or need is None or need.field in (NONE, EVERY):
            return handler
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(_each_checked(handler.stream_stream, need.field), **codec)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(_checked(handler.unary_stream, need.field), **codec)
        return grpc.unary_unary_rpc_method_handler(_checked(handler.unary_unary, need.field), **codec)


def _checked(serve: Any, field: str) -> Any:
    """`serve` itself decides whether it answers once or streams."""

    def call(request: Any, context: Any) -> Any:
        _require_named_seen(request, field)
        return serve(request, context)

    return call


def _each_checked(serve: Any, field: str) -> Any:
    async def seen(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            _require_named_seen(request, field)
            yield request

    return lambda requests, context: serve(seen(requests), context)


def _require_named_seen(request: Any, field: str) -> None:
    principal = CURRENT_PRINCIPAL.get()
    name = request
    for part in field.split("."):
        name = getattr(name, part)
    kind, _, rest = name.partition("/")
    tenant = rest.partition("/")[0]
    is_bound = principal.tenants is not None
    if kind != "tenants" or not tenant:
        if is_bound:
            raise InvalidArgument(f"{field} must begin with tenants/{{tenant}}", field=field)
        return
    if tenant != ANY_TENANT:
        require_seen(tenant)
    elif is_bound:
        require_unbound(principal)

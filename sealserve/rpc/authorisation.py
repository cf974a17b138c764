"""Who may call what: the one table from method to role, and the two interceptors that hold every call against it.

`Authentication` decides by the token and by what its owner has used already, before anything of the request is read;
`Tenancy` by the tenant that the request names. To a principal bound to tenants, every other name is one that does not
exist: the same code answers for both, before the registry is asked.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias, TypeVar

import grpc
import grpc.aio

from sealserve.errors import (
    InvalidArgument,
    NotFound,
    PermissionDenied,
    SealserveError,
    StorageFailed,
    Unauthenticated,
    Unavailable,
)
from sealserve.records.principals import MAX_SECRET_CHARACTERS, Principal, Role, Token, digest_of
from sealserve.rpc.abort import refuse
from sealserve.rpc.budget import CURRENT_SHARE, Budget
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.wire.channels import shown_secret
from sealserve.wire.names import ANY_TENANT

PACKAGE = "sealserve.v1"

NONE = ""
"""The request names no tenant: anybody with the role may call, and the service shows what the caller sees."""

EVERY = "*"
"""The answer is about all tenants: principals bound to some may not call."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a caller needs: a role, and to see the tenant that the request names in `field` (or NONE, or EVERY)."""

    role: Role
    field: str


METHODS: Mapping[str, Need] = {
    "InferenceService/Generate": Need(Role.VIEWER, "parent"),
    "InferenceService/StreamGenerate": Need(Role.VIEWER, "parent"),
    "InferenceService/CountTokens": Need(Role.VIEWER, "parent"),
    "InferenceService/ListModels": Need(Role.VIEWER, "parent"),
    "InferenceService/GetServerInfo": Need(Role.VIEWER, NONE),
    "DocumentService/AddDocument": Need(Role.OPERATOR, "parent"),
    "DocumentService/StreamDocuments": Need(Role.OPERATOR, "document.parent"),
    "DocumentService/GetDocument": Need(Role.VIEWER, "name"),
    "DocumentService/ListDocuments": Need(Role.VIEWER, "parent"),
    "DocumentService/ReleaseDocument": Need(Role.APPROVER, "name"),
    "DocumentService/ForgetDocument": Need(Role.TENANT_ADMIN, "name"),
    "SourceService/CreateSource": Need(Role.TENANT_ADMIN, "parent"),
    "SourceService/GetSource": Need(Role.VIEWER, "name"),
    "SourceService/ListSources": Need(Role.VIEWER, "parent"),
    "SourceService/TestSource": Need(Role.OPERATOR, "name"),
    "SourceService/SyncSource": Need(Role.OPERATOR, "name"),
    "SourceService/DeleteSource": Need(Role.TENANT_ADMIN, "name"),
    "SourceService/ListSourceItems": Need(Role.VIEWER, "parent"),
    "CycleService/StartCycle": Need(Role.OPERATOR, "parent"),
    "CycleService/GetCycle": Need(Role.VIEWER, "name"),
    "CycleService/ListCycles": Need(Role.VIEWER, "parent"),
    "CycleService/WatchCycle": Need(Role.VIEWER, "name"),
    "CycleService/ListSelfEdits": Need(Role.VIEWER, "parent"),
    "AdapterService/ListAdapters": Need(Role.VIEWER, "parent"),
    "AdapterService/GetAdapter": Need(Role.VIEWER, "name"),
    "AdapterService/PromoteAdapter": Need(Role.OPERATOR, "name"),
    "AdapterService/RollbackAdapter": Need(Role.OPERATOR, "parent"),
    "AdapterService/GetTraffic": Need(Role.VIEWER, "parent"),
    "AdapterService/SetTraffic": Need(Role.OPERATOR, "parent"),
    "AdapterService/ListActivations": Need(Role.VIEWER, "parent"),
    "AdapterService/WatchAdapters": Need(Role.VIEWER, "parent"),
    "WatchService/GetWatch": Need(Role.VIEWER, "name"),
    "WatchService/ListWatches": Need(Role.VIEWER, "parent"),
    "ApprovalService/ListApprovals": Need(Role.VIEWER, "parent"),
    "ApprovalService/GetApproval": Need(Role.VIEWER, "name"),
    "ApprovalService/ApproveAdapter": Need(Role.APPROVER, "name"),
    "ApprovalService/RejectAdapter": Need(Role.APPROVER, "name"),
    "FeedbackService/CreateFeedback": Need(Role.VIEWER, "parent"),
    "FeedbackService/ListFeedback": Need(Role.VIEWER, "parent"),
    "FeedbackService/SummarizeFeedback": Need(Role.VIEWER, "parent"),
    "EvaluationService/AddEvaluationSet": Need(Role.OPERATOR, "parent"),
    "EvaluationService/GetEvaluationSet": Need(Role.VIEWER, "name"),
    "EvaluationService/ListEvaluationSets": Need(Role.VIEWER, "parent"),
    "CanaryService/PutCanarySuite": Need(Role.OPERATOR, "parent"),
    "CanaryService/GetCanarySuite": Need(Role.VIEWER, "name"),
    "CanaryService/ListCanarySuites": Need(Role.VIEWER, "parent"),
    "CanaryService/RetireCanarySuite": Need(Role.OPERATOR, "name"),
    "CanaryService/ListCanaryResults": Need(Role.VIEWER, "parent"),
    "TenantService/CreateTenant": Need(Role.ADMIN, NONE),
    "TenantService/GetTenant": Need(Role.VIEWER, "name"),
    "TenantService/ListTenants": Need(Role.VIEWER, NONE),
    "AuditService/ListAuditRows": Need(Role.VIEWER, "parent"),
    "AuditService/VerifyAudit": Need(Role.VIEWER, EVERY),
    "TokenService/CreateToken": Need(Role.TENANT_ADMIN, NONE),
    "TokenService/ListTokens": Need(Role.TENANT_ADMIN, NONE),
    "TokenService/RevokeToken": Need(Role.TENANT_ADMIN, NONE),
    "EngineService/Generate": Need(Role.ENGINE, NONE),
    "EngineService/Score": Need(Role.ENGINE, NONE),
    "EngineService/CountTokens": Need(Role.ENGINE, NONE),
    "EngineService/LoadAdapter": Need(Role.ENGINE, NONE),
    "EngineService/UnloadAdapter": Need(Role.ENGINE, NONE),
    "EngineService/GetEngineInfo": Need(Role.ENGINE, NONE),
}
"""Every method of the package. One that is not here is refused; health and reflection are not of the package."""

OVER_HTTP: Mapping[str, Need] = {"Metrics/Read": Need(Role.VIEWER, EVERY)}
"""What HTTP has besides."""

ANYONE = Principal(name="anyone", role=Role.ADMIN, tenants=None)
"""Who calls when serve.auth is off."""

REMEMBER_SECONDS = 1.0
"""How long another server's revocation may go unnoticed."""

PATIENCE_SECONDS = 2.0
"""How long a token that was valid waits for the registry to say so again."""

REFRESH_SECONDS = 0.25
"""Time between two looks for tokens that other servers made, while somebody shows unknown ones."""

MOST_UNKNOWN = 1024
"""Calls with unknown tokens that wait for such a look at once."""

REFUSALS_PER_SECOND = 200
"""So many of them are told that their token is unknown: all at once, they would hold up everybody else."""

_UNKNOWN = "this token is unknown or revoked; ask an administrator for another one"
_UNKNOWN_THREADS = 2
_MAX_REMEMBERED = 10_000

T = TypeVar("T")
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler]]"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A token as the registry had it at `at`; it is asked again from `ask_at` on. Seconds of the clock."""

    token: Token
    at: float
    ask_at: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a token was refused, and from when on the registry is asked again: seconds of the clock."""

    message: str
    reason: str
    ask_at: float


class Issued(Protocol):
    """Which secrets may be tokens (`registry/issued_tokens.py`)."""

    def has(self, digest: str) -> bool:
        """Return False if this is the digest of no token that was there at the last `refresh`."""

    def refresh(self) -> None:
        """Read the tokens that were made since the last time. Blocks. Raises: StorageFailed."""


class Unlisted:
    """Any secret may be a token."""

    def has(self, digest: str) -> bool:
        """Return True."""
        return True

    def refresh(self) -> None:
        """Do nothing."""


class KnownTokens:
    """Whose a secret is, remembered for a moment: most calls come from those who called just now.

    A secret that is nobody's costs neither a thread nor a look at the database. While the registry is away, a token
    that was valid stays so for `grace_seconds`: answers need no database.
    """

    def __init__(
        self,
        find: Callable[[str], Token],
        *,
        issued: Issued | None = None,
        grace_seconds: float = 0.0,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        utc_now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`find` blocks, and raises Unauthenticated for a secret that is nobody's; without `issued` it is asked about
        every secret. `clock` gives seconds.
        """
        self._find = find
        self._grace_seconds = grace_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._utc_now = utc_now
        self._seen: dict[str, _Seen] = {}
        self._refused: dict[str, _Refusal] = {}
        self._lookups: dict[str, asyncio.Future[Token]] = {}
        self._threads = ThreadPoolExecutor(_UNKNOWN_THREADS, thread_name_prefix="tokens")
        self._strangers = _Strangers(issued or Unlisted(), self._threads)

    async def principal_of(self, secret: str) -> Principal:
        """Return whose secret this is. Raises: Unauthenticated, StorageFailed, Unavailable (too many unknown ones)."""
        seen = self._seen.get(secret)
        if seen is None:
            self._require_not_refused(secret)
            await self._strangers.require_issued(secret)
            return (await self._looked_up(secret)).principal
        if self._clock() >= seen.ask_at:
            return (await self._asked_again(secret, seen)).principal
        seen.token.require_unexpired(self._utc_now())
        return seen.token.principal

    def forget(self, token: str) -> None:
        """Ask anew for the token of that id: it was revoked here."""
        for secret, seen in list(self._seen.items()):
            if seen.token.token == token:
                del self._seen[secret]

    def close(self) -> None:
        """Begin no more lookups of unknown secrets."""
        self._strangers.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _asked_again(self, secret: str, seen: _Seen) -> Token:
        """Return the token as it is now, or as it was, if the registry does not say and that is not long ago."""
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._looked_up(secret)
        except (StorageFailed, TimeoutError) as error:
            now = self._clock()
            if now - seen.at > self._grace_seconds:
                raise StorageFailed("the registry cannot be asked whose token this is") from error
            if secret in self._seen:  # else: it was revoked meanwhile
                self._seen[secret] = replace(seen, ask_at=now + REMEMBER_SECONDS)
        seen.token.require_unexpired(self._utc_now())
        return seen.token

    async def _looked_up(self, secret: str) -> Token:
        """Return what the registry says; those who ask for the same secret at the same time share one lookup."""
        lookup = self._lookups.get(secret)
        if lookup is None:
            lookup = self._lookups[secret] = asyncio.ensure_future(self._look_up(secret))
            lookup.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may find nobody waiting
        return await asyncio.shield(lookup)

    async def _look_up(self, secret: str) -> Token:
        asked_at = self._clock()
        try:
            token = await self._found(secret)
        except Unauthenticated as refusal:
            self._seen.pop(secret, None)
            _keep(self._refused, secret, _Refusal(refusal.message, refusal.reason, asked_at + REMEMBER_SECONDS))
            raise
        finally:
            del self._lookups[secret]
        _keep(self._seen, secret, _Seen(token, asked_at, asked_at + REMEMBER_SECONDS))
        return token

    async def _found(self, secret: str) -> Token:
        threads = None if secret in self._seen else self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, self._find, secret)

    def _require_not_refused(self, secret: str) -> None:
        """Return unless the registry has just said that this is a token no more. Raises: Unauthenticated."""
        refusal = self._refused.get(secret)
        if refusal is not None and self._clock() < refusal.ask_at:
            raise Unauthenticated(refusal.message, reason=refusal.reason)


class _Strangers:
    """Calls with secrets that are not known: made-up ones, and now and then a token that another server just made.

    All of them share one look for new tokens, and those that are refused are told one after the other.
    """

    def __init__(self, issued: Issued, threads: ThreadPoolExecutor) -> None:
        self._issued = issued
        self._threads = threads
        self._waiting = 0
        self._next_look: asyncio.Task[None] | None = None  # that has not begun
        self._looked_at = self._told_at = -REFRESH_SECONDS

    async def require_issued(self, secret: str) -> None:
        """Return if the secret may be a token. Raises: Unauthenticated, StorageFailed, Unavailable (too many ask)."""
        digest = digest_of(secret)
        if self._issued.has(digest):
            return
        if self._waiting >= MOST_UNKNOWN:
            raise Unavailable("too many unknown tokens at once; try again", reason="TOO_MANY_UNKNOWN_TOKENS")
        self._waiting += 1
        try:
            await self._look()
            if not self._issued.has(digest):
                await self._await_turn()
                raise Unauthenticated(_UNKNOWN)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()

    async def _look(self) -> None:
        """Return after a look that began after this call."""
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_soon(), name="tokens")
            self._next_look.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._next_look)

    async def _look_soon(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._looked_at + REFRESH_SECONDS - loop.time())
        self._next_look, self._looked_at = None, loop.time()
        await loop.run_in_executor(self._threads, self._issued.refresh)

    async def _await_turn(self) -> None:
        now = asyncio.get_running_loop().time()
        self._told_at = max(now, self._told_at + 1 / REFUSALS_PER_SECOND)
        await asyncio.sleep(self._told_at - now)


def _keep(remembered: dict[str, T], secret: str, what: T) -> None:
    """Remember `what`; when there is too much, the rest is forgotten."""
    if len(remembered) >= _MAX_REMEMBERED:
        remembered.clear()
    remembered[secret] = what


class Access:
    """Lets a call in whose token has the role that the method needs, and counts it. The same for every transport."""

    def __init__(self, tokens: KnownTokens, *, budget: Budget, is_open: bool) -> None:
        """With `is_open` (serve.auth = "off") everybody is ANYONE; EngineService asks for a token even then."""
        self._tokens = tokens
        self._budget = budget
        self.is_open = is_open

    async def enter(self, method: str, secret: str) -> None:
        """Say who calls `method`, "Service/Method" (CURRENT_PRINCIPAL), and what share is left (CURRENT_SHARE).

        The call counts as running until the present task ends. Raises: Unauthenticated, PermissionDenied,
        QuotaExceeded, StorageFailed, Unavailable.
        """
        principal = await self._admitted(method, secret)
        share = self._budget.enter(principal, method)
        CURRENT_PRINCIPAL.set(principal)
        CURRENT_SHARE.set(share)
        if (task := asyncio.current_task()) is not None:  # which serves the call, to its end however it ends
            task.add_done_callback(lambda _: share.leave())

    async def _admitted(self, method: str, secret: str) -> Principal:
        need = METHODS.get(method) or OVER_HTTP.get(method)
        if self.is_open and need is not None and need.role is not Role.ENGINE:
            return ANYONE
        principal = await self._tokens.principal_of(_checked_secret(secret))
        if need is None or not principal.has(need.role):
            asked = need.role if need is not None else "no"
            text = f"{principal.name} is {principal.role}; this call needs the role {asked}"
            raise PermissionDenied(text, reason="ROLE_NEEDED")
        if need.field == EVERY:
            require_unbound(principal)
        return principal


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


def require_unbound(principal: Principal) -> None:
    """Return if `principal` sees every tenant. Raises: PermissionDenied."""
    if principal.tenants is not None:
        text = f"{principal.name} is bound to tenants; this call is about all of them"
        raise PermissionDenied(text, reason="BOUND_TO_TENANTS")


def require_seen(tenant: str) -> None:
    """Return if the caller may know of `tenant`, for which its call counts. Raises: NotFound, QuotaExceeded."""
    if not CURRENT_PRINCIPAL.get().sees(tenant):
        raise NotFound(f"tenants/{tenant}", kind="tenant")
    CURRENT_SHARE.get().name_tenant(tenant)


def _checked_secret(secret: str) -> str:
    if not secret:
        text = "a token is needed: `authorization: Bearer SECRET`; on the command line --token or SEALSERVE_TOKEN"
        raise Unauthenticated(text, reason="TOKEN_MISSING")
    if len(secret) > MAX_SECRET_CHARACTERS:
        raise Unauthenticated("this is no token: it is too long")
    return secret


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

"""The clients' methods about people: held versions and tokens, blocking and awaited. Both clients have them."""

from collections.abc import AsyncGenerator, Iterator

from sealserve.client import people_calls
from sealserve.client.connection import AsyncConnection, Connection
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.principals import Principal, Token
from sealserve.records.versions import Activation


class PeopleMethods(Connection):
    """For `Client`."""

    def approvals(self, tenant: str, *, state: ApprovalState | None = None) -> Iterator[Approval]:
        """Return every version of the tenant that was ever held, or those in `state`, newest first."""
        return self._pages(lambda token: people_calls.list_approvals(tenant, state=state, page_token=token))

    def approval(self, tenant: str, version: int) -> Approval:
        """Return where a held version stands. Raises: NotFound, also for a version that was never held."""
        return self._unary(people_calls.approval(tenant, version))

    def approve(
        self, tenant: str, version: int, *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> tuple[Approval, Activation | None]:
        """Approve a held version; the activation is None where policy wants more people to approve.

        Raises: FailedPrecondition (decided already, late), PermissionDenied (not you), Conflict (etag).
        """
        return self._unary(people_calls.approve(tenant, version, etag=etag, reason=reason, request_id=request_id))

    def reject(self, tenant: str, version: int, *, reason: str, request_id: str = "") -> Approval:
        """Reject a held version for good. Raises: FailedPrecondition (decided already), InvalidArgument (reason)."""
        return self._unary(people_calls.reject(tenant, version, reason=reason, request_id=request_id))

    def create_token(self, principal: Principal, *, expires_days: int | None = None) -> tuple[Token, str]:
        """Make a token; return it with its secret, which is shown this once. Without `expires_days` it does not end.

        Raises: AlreadyExists (the name), InvalidArgument, PermissionDenied (nobody gives what they do not have).
        """
        return self._unary(people_calls.create_token(principal, expires_days=expires_days))

    def tokens(self) -> Iterator[Token]:
        """Return every token this caller may know of, revoked ones included, oldest first."""
        return self._pages(lambda token: people_calls.list_tokens(page_token=token))

    def revoke_token(self, token: str) -> Token:
        """Refuse a token from now on. Raises: NotFound, FailedPrecondition (the last administrator's)."""
        return self._unary(people_calls.revoke_token(token))


class AsyncPeopleMethods(AsyncConnection):
    """For `AsyncClient`."""

    def approvals(self, tenant: str, *, state: ApprovalState | None = None) -> AsyncGenerator[Approval, None]:
        """Return every version of the tenant that was ever held, or those in `state`, newest first."""
        return self._pages(lambda token: people_calls.list_approvals(tenant, state=state, page_token=token))

    async def approval(self, tenant: str, version: int) -> Approval:
        """Return where a held version stands. Raises: NotFound, also for a version that was never held."""
        return await self._unary(people_calls.approval(tenant, version))

    async def approve(
        self, tenant: str, version: int, *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> tuple[Approval, Activation | None]:
        """Approve a held version; the activation is None where policy wants more people to approve.

        Raises: FailedPrecondition (decided already, late), PermissionDenied (not you), Conflict (etag).
        """
        return await self._unary(people_calls.approve(tenant, version, etag=etag, reason=reason, request_id=request_id))

    async def reject(self, tenant: str, version: int, *, reason: str, request_id: str = "") -> Approval:
        """Reject a held version for good. Raises: FailedPrecondition (decided already), InvalidArgument (reason)."""
        return await self._unary(people_calls.reject(tenant, version, reason=reason, request_id=request_id))

    async def create_token(self, principal: Principal, *, expires_days: int | None = None) -> tuple[Token, str]:
        """Make a token; return it with its secret, which is shown this once. Without `expires_days` it does not end.

        Raises: AlreadyExists (the name), InvalidArgument, PermissionDenied (nobody gives what they do not have).
        """
        return await self._unary(people_calls.create_token(principal, expires_days=expires_days))

    def tokens(self) -> AsyncGenerator[Token, None]:
        """Return every token this caller may know of, revoked ones included, oldest first."""
        return self._pages(lambda token: people_calls.list_tokens(page_token=token))

    async def revoke_token(self, token: str) -> Token:
        """Refuse a token from now on. Raises: NotFound, FailedPrecondition (the last administrator's)."""
        return await self._unary(people_calls.revoke_token(token))

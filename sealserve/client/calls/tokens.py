"""Calls of TokenService."""

from typing import Any

from sealserve.client.calls.core import PAGE_SIZE, Call, call, page
from sealserve.records.pages import Page
from sealserve.records.principals import Principal, Token
from sealserve.v1 import token_pb2
from sealserve.wire import names, tokens


def create_token(principal: Principal, *, expires_days: int | None) -> Call[tuple[Token, str]]:
    """Make a token; the answer is (token, secret)."""
    request = tokens.principal_to_wire(principal, expires_days=expires_days)
    return call("TokenService/CreateToken", request, token_pb2.CreateTokenResponse, _made)


def list_tokens(*, page_token: str) -> Call[Page[Token]]:
    """Ask for a page of tokens."""
    request = token_pb2.ListTokensRequest(page_size=PAGE_SIZE, page_token=page_token)
    read = page("tokens", tokens.token_from_wire)
    return call("TokenService/ListTokens", request, token_pb2.ListTokensResponse, read)


def revoke_token(token: str) -> Call[Token]:
    """Refuse a token from now on."""
    request = token_pb2.RevokeTokenRequest(name=names.token_name(token))
    return call("TokenService/RevokeToken", request, token_pb2.Token, tokens.token_from_wire)


def _made(wire: Any) -> tuple[Token, str]:
    return tokens.token_from_wire(wire.token), str(wire.secret)

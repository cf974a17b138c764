"""The calls about people: tokens. As `calls.py`: no channel, no I/O."""

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from sealserve.client.calls import PACKAGE, PAGE_SIZE, Call
from sealserve.people import Principal, Token
from sealserve.records import Page
from sealserve.rpc.convert import names, tokens
from sealserve.v1 import token_pb2

T = TypeVar("T")


def create_token(principal: Principal) -> Call[tuple[Token, str]]:
    """Make a token; the answer is (token, secret)."""
    request = tokens.principal_to_wire(principal)
    return _call("TokenService/CreateToken", request, token_pb2.CreateTokenResponse, _made)


def list_tokens(*, page_token: str) -> Call[Page[Token]]:
    """Ask for a page of tokens."""
    request = token_pb2.ListTokensRequest(page_size=PAGE_SIZE, page_token=page_token)

    def read(wire: Any) -> Page[Token]:
        return Page(items=tuple(map(tokens.token_from_wire, wire.tokens)), next_page_token=wire.next_page_token)

    return _call("TokenService/ListTokens", request, token_pb2.ListTokensResponse, read)


def revoke_token(token: str) -> Call[Token]:
    """Refuse a token from now on."""
    request = token_pb2.RevokeTokenRequest(name=names.token_name(token))
    return _call("TokenService/RevokeToken", request, token_pb2.Token, tokens.token_from_wire)


def _made(wire: Any) -> tuple[Token, str]:
    return tokens.token_from_wire(wire.token), str(wire.secret)


def _call(method: str, request: Message, response: type[Message], read: Callable[[Any], T]) -> Call[T]:
    return Call(path=f"/{PACKAGE}.{method}", request=request, response=response, read=read)

"""A server for the tests of what its callers are told."""

from tests.rpc.conftest import here

__all__ = ["here"]

"""Adapter versions, activations, held versions and approvals."""

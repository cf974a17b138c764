"""Regression items, shipped and of tenants, and the probes made of them."""

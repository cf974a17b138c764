"""Answering tenants: which version answers, who may enter, and making what should answer what does."""

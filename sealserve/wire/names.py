"""Resource names: `tenants/acme`, `tenants/acme/adapters/v3`, and their parts.

Checks spelling only; whether the thing exists is the registry's to say.
"""

import re
from collections.abc import Iterable

from sealserve.errors import InvalidArgument
from sealserve.records.versions import BASE_VERSION

BASE = "base"
ANY_TENANT = "-"

_TENANT = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_TENANT_NAME = re.compile(rf"tenants/({_TENANT})", re.ASCII)
_DOCUMENT_NAME = re.compile(rf"tenants/({_TENANT})/documents/({_ID})", re.ASCII)
_CYCLE_NAME = re.compile(rf"tenants/({_TENANT})/cycles/({_ID})", re.ASCII)
_ADAPTER_NAME = re.compile(rf"tenants/({_TENANT})/adapters/(base|v[1-9][0-9]{{0,8}})", re.ASCII)
_MODEL_ID = re.compile(rf"({_TENANT})(?:@(base|v[1-9][0-9]{{0,8}}))?", re.ASCII)
_TOKEN_NAME = re.compile(r"tokens/([0-9a-f]{12})", re.ASCII)


def tenant_name(tenant: str) -> str:
    """Return `tenants/{tenant}`."""
    return f"tenants/{tenant}"


def document_name(tenant: str, document: str) -> str:
    """Return `tenants/{tenant}/documents/{document}`."""
    return f"tenants/{tenant}/documents/{document}"


def cycle_name(tenant: str, cycle: str) -> str:
    """Return `tenants/{tenant}/cycles/{cycle}`."""
    return f"tenants/{tenant}/cycles/{cycle}"


def self_edit_name(tenant: str, cycle: str, *, self_edit: str) -> str:
    """Return `tenants/{tenant}/cycles/{cycle}/selfEdits/{self_edit}`."""
    return f"{cycle_name(tenant, cycle)}/selfEdits/{self_edit}"


def activation_name(tenant: str, activation: int) -> str:
    """Return `tenants/{tenant}/activations/{activation}`."""
    return f"tenants/{tenant}/activations/{activation}"


def adapter_name(tenant: str, version: int) -> str:
    """Return `tenants/{tenant}/adapters/{version}`; version 0 is "base"."""
    return f"tenants/{tenant}/adapters/{BASE if version == BASE_VERSION else f'v{version}'}"


def token_name(token: str) -> str:
    """Return `tokens/{token}`."""
    return f"tokens/{token}"


def last_part(name: str) -> str:
    """Return what follows the last slash."""
    return name.rpartition("/")[2]


def last_parts(names: Iterable[str]) -> tuple[str, ...]:
    """Return what follows the last slash of each."""
    return tuple(last_part(name) for name in names)


def tenant_of(name: str, *, field: str = "parent") -> str:
    """Return the tenant of `tenants/{tenant}`. Raises: InvalidArgument."""
    return _parts(_TENANT_NAME, name, field=field, form="tenants/{tenant}")[0]


def document_of(name: str, *, field: str = "name") -> tuple[str, str]:
    """Return (tenant, document). Raises: InvalidArgument."""
    tenant, document = _parts(_DOCUMENT_NAME, name, field=field, form="tenants/{tenant}/documents/{document}")
    return tenant, document


def cycle_of(name: str, *, field: str = "name") -> tuple[str, str]:
    """Return (tenant, cycle). Raises: InvalidArgument."""
    tenant, cycle = _parts(_CYCLE_NAME, name, field=field, form="tenants/{tenant}/cycles/{cycle}")
    return tenant, cycle


def adapter_of(name: str, *, field: str = "name") -> tuple[str, int]:
    """Return (tenant, version). Raises: InvalidArgument."""
    form = "tenants/{tenant}/adapters/{version}, version base or v1, v2 …"
    tenant, version = _parts(_ADAPTER_NAME, name, field=field, form=form)
    return tenant, BASE_VERSION if version == BASE else int(version[1:])


def version_of(name: str, *, tenant: str, field: str) -> int:
    """Return the version of an adapter of `tenant`. Raises: InvalidArgument (another tenant's)."""
    owner, version = adapter_of(name, field=field)
    if owner != tenant:
        raise InvalidArgument(f"{field} must be one of the parent's", field=field)
    return version


def model_of(name: str) -> tuple[str, int | None] | None:
    """Return (tenant, version) of acme@v3 or acme@base, (tenant, None) of acme; None for what is no model's name."""
    match = _MODEL_ID.fullmatch(name)
    if match is None:
        return None
    tenant, version = match.groups()
    if version is None:
        return tenant, None
    return tenant, BASE_VERSION if version == BASE else int(version[1:])


def token_of(name: str, *, field: str = "name") -> str:
    """Return the token of `tokens/{token}`. Raises: InvalidArgument."""
    return _parts(_TOKEN_NAME, name, field=field, form="tokens/{token}")[0]


def _parts(pattern: re.Pattern[str], name: str, *, field: str, form: str) -> tuple[str, ...]:
    match = pattern.fullmatch(name)
    if match is None:
        raise InvalidArgument(f"{field} must have the form {form}", field=field)
    return match.groups()

"""`sealserve adapter traffic`: how new requests are shared between two versions."""

from typing import TYPE_CHECKING, Annotated

import typer

from sealserve.cli.adapter import Etag, Reason, Wait, number_of
from sealserve.cli.adapter import app as adapters
from sealserve.cli.session import Session, command
from sealserve.cli.tenant import Tenant
from sealserve.errors import InvalidArgument
from sealserve.records.rollouts import Traffic

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(adapters, "traffic")
def traffic(
    session: Session,
    tenant: Tenant,
    weight: Annotated[
        str, typer.Option("--weight", help="Shares of new requests, e.g. v3=0.9,v2=0.1; shown if left out.")
    ] = "",
    reason: Reason = "",
    etag: Etag = "",
    wait: Wait = True,
) -> None:
    """Show or set how new requests are shared between the active version and one that was active before it.

    The active version alone (v3=1) ends the sharing. The same sticky key gets the same version.
    """
    with session.client() as client:
        if weight:
            shared = client.set_traffic(tenant, shares_of(weight), etag=etag, reason=reason)
            if wait:
                client.wait_until_observed(tenant, shared.activation)
        else:
            shared = client.traffic(tenant)
    session.show(shared, lambda: _shares(shared))


def shares_of(weight: str) -> dict[int, float]:
    """Return the share of each version in `v3=0.9,v2=0.1`. Raises: InvalidArgument."""
    shares: dict[int, float] = {}
    for part in weight.split(","):
        version, _, share = part.strip().partition("=")
        try:
            number, value = number_of(version.strip()), float(share)
        except ValueError as error:
            raise InvalidArgument(f"{part!r} is no share; write v3=0.9,v2=0.1", field="weight") from error
        if number in shares:
            raise InvalidArgument(f"{version} is named twice", field="weight")
        shares[number] = value
    return shares


def _shares(shared: Traffic) -> "RenderableType":
    from sealserve.cli import output

    rows = ((output.version_name(version), f"{share:.3f}") for version, share in shared.shares.items())
    return output.table(["version", "share of new requests"], rows, empty="")

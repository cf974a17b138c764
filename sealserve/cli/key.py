"""`sealserve key`: the public keys whose signatures of versions count. Run these on the daemon's machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealserve.cli.local_registry import local_actor, registry_of
from sealserve.cli.session import Session, command
from sealserve.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from sealserve.records.keys import TrustedKey

app = typer.Typer(help="List, add and remove the public keys whose signatures are trusted.")

Key = Annotated[str, typer.Argument(help="Key, as `key list` shows it.", show_default=False)]


@command(app, "list")
def list_keys(session: Session) -> None:
    """List the keys, removed ones included. The one that signs here is marked."""
    from sealserve.cli import output
    from sealserve.proof.keys import KeyRing

    with registry_of(session) as registry:
        own = KeyRing(session.settings().data_directory / "keys", registry).own_key()
        found = registry.trusted_keys.all()
    rows = (
        (one.key, "signs here" if one.key == own else "", one.name, one.added_at, one.added_by, one.removed_at or "")
        for one in found
    )
    columns = ["key", "", "name", "added", "by", "removed"]
    shown = {"signing": own, "keys": [_json(one) for one in found]}
    session.show(shown, lambda: output.table(columns, rows, empty=""))


@command(app, "show")
def show_key(
    session: Session, key: Annotated[str, typer.Argument(help="Key; default: this installation's.")] = ""
) -> None:
    """Print a public key in PEM form, as `key add` takes it on another installation."""
    from sealserve.proof.keys import KeyRing, pem_of

    with registry_of(session) as registry:
        ring = KeyRing(session.settings().data_directory / "keys", registry)
        found = registry.trusted_keys.get(key or ring.own_key())
    pem = pem_of(found.public_key)
    session.show({**_json(found), "pem": pem}, pem.strip)


@command(app, "add")
def add_key(
    session: Session,
    file: Annotated[Path, typer.Argument(help="Ed25519 public key in PEM form.", show_default=False)],
    name: Annotated[str, typer.Option(help="Whose key it is; default: the file's name.", show_default=False)] = "",
) -> None:
    """Trust a public key. Versions that it signed and that wait for it are loaded at the next look."""
    from sealserve.proof.keys import KeyRing, read_public_key

    if not file.is_file():
        raise InvalidArgument(f"{file} is not a file", field="file")
    public_key = read_public_key(file.read_bytes())
    with registry_of(session) as registry:
        ring = KeyRing(session.settings().data_directory / "keys", registry)
        added = ring.trust(public_key, name=name or file.stem, actor=local_actor())
    session.show(_json(added), lambda: f"trusted: {added.key} ({added.name})")


@command(app, "remove")
def remove_key(session: Session, key: Key) -> None:
    """Trust a key no longer. Versions that it signed stay loaded, and are not loaded again."""
    from sealserve.proof.keys import KeyRing

    with registry_of(session) as registry:
        if key == KeyRing(session.settings().data_directory / "keys", registry).own_key():
            raise FailedPrecondition(f"{key} signs here: replace it first with sealserve audit rotate-key")
        removed = registry.trusted_keys.remove(key, actor=local_actor())
    session.show(_json(removed), lambda: f"no longer trusted: {removed.key} ({removed.name})")


def _json(key: "TrustedKey") -> dict[str, Any]:
    from sealserve.cli import output

    shown = {"key": key.key, "fingerprint": key.fingerprint, "name": key.name, "public_key": key.encoded}
    when = {"added_by": key.added_by, "added_at": key.added_at, "removed_at": key.removed_at}
    plain: dict[str, Any] = output.plain({**shown, **when})
    return plain

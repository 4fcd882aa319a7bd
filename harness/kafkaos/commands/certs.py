"""`kafkaos certs`: certificates for a cluster of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, stdout
from kafkaos.errors import EXIT_HELD


def certs(  # noqa: PLR0917 (typer passes all by keyword)
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder for the files.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME|IP…]", help="A broker: its name and further names or addresses; repeat it."
        ),
    ] = None,
    client: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A client; repeat it.")] = None,
    mutual: Annotated[
        bool, typer.Option("--mutual/--one-way", help="Whether clients show a certificate too.")
    ] = True,
    store_format: Annotated[
        str, typer.Option("--format", help="Of Java's stores: pkcs12 or jks.")
    ] = "pkcs12",
    days: Annotated[int, typer.Option(help="How many days the certificates are valid.")] = 365,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="KAFKAOS_STORE_PASSWORD", help="Of every store; without it each gets a random one."
        ),
    ] = None,
    key: Annotated[str, typer.Option(help="The kind of keys: ec or rsa.")] = "ec",
    json: Json = False,
) -> int:
    """Make keys, certificates and stores for your own cluster, in the seven steps of Kafka's documentation."""
    from kafkaos.tls.certs import make_certificates

    made = make_certificates(
        folder,
        hosts=host or ["localhost,127.0.0.1"],
        clients=client or ["client"],
        mutual=mutual,
        store_format=store_format,  # type: ignore[arg-type]  # checked there, with a better sentence than ours
        validity_days=days,
        password=password,
        key_type=key,  # type: ignore[arg-type]
    )
    if json:
        files = [
            {"path": str(f.path), "step": f.step, "what": f.what, "secret": f.secret} for f in made.files
        ]
        print_json({"folder": str(made.folder), "files": files})
        return EXIT_HELD
    table = Table(box=SIMPLE_HEAD)
    for name in ("step", "file", "what"):
        table.add_column(name, overflow="fold")
    for f in sorted(made.files, key=lambda f: f.step):
        table.add_row(
            str(f.step or ""), str(f.path), f"{f.what}{' [secret]' if f.secret else ''}".replace("[", r"\[")
        )
    console = stdout()
    console.print(table)
    console.print(f"Made in {made.folder}; start with its README.md.", markup=False)
    return EXIT_HELD

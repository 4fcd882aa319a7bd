"""Certificates for somebody's own cluster, in the seven steps that Kafka's documentation names.

1 server keystore, 2 local authority, 3 signing request, 4 signed certificate, 5 certificate into the
keystore, 6 broker configuration, 7 client truststore. Every intermediate file stays, to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding

from kafkaos.tls import certs_text, stores
from kafkaos.tls.authority import Leaf
from kafkaos.tls.certs_input import Order, check_order
from kafkaos.tls.keytool import keytool, to_jks
from kafkaos.tls.private import private_folder, write_private
from kafkaos.tls.signing import KeyType, Root, key_pem, new_key, signing_request

StoreFormat = Literal["pkcs12", "jks"]


@dataclass(frozen=True)
class MadeFile:
    """One file, relative to the folder; `step` is 1 to 7, 0 for what belongs to none."""

    path: Path
    step: int
    what: str
    secret: bool


@dataclass
class MadeCertificates:
    """What was made, for the command to print and for the README."""

    folder: Path
    order: Order
    files: list[MadeFile] = field(default_factory=list)

    @property
    def secrets(self) -> list[Path]:
        """The files that nobody else may read, absolute."""
        return [self.folder / file.path for file in self.files if file.secret]

    def add(self, name: str, data: bytes | str, *, step: int, what: str, secret: bool = False) -> Path:
        """Writes one file (mode 0600) and notes it."""
        path = self.folder / name
        write_private(path, data if isinstance(data, bytes) else data.encode())
        self.files.append(MadeFile(Path(name), step, what, secret))
        return path


def make_certificates(
    folder: Path,
    *,
    hosts: Sequence[str],
    clients: Sequence[str] = ("client",),
    mutual: bool = True,
    store_format: StoreFormat = "pkcs12",
    validity_days: int = 365,
    password: str | None = None,
    key_type: KeyType = "ec",
) -> MadeCertificates:
    """Makes a folder with everything that a cluster of these hosts and its clients need for TLS.

    A host is `NAME[,NAME or IP…]`; its name is the folder and the advertised name. `password` is that of
    every store; without it each host and each client gets a random one, written into its properties file.
    Nothing is ever overwritten.

    Raises WrongUse for a folder that is not empty, a name, password or validity that does not fit;
    SetupFailed for JKS stores where there is no keytool. Both before anything is written.
    """
    order = check_order(
        folder,
        hosts=hosts,
        clients=clients,
        mutual=mutual,
        store_format=store_format,
        validity_days=validity_days,
        password=password,
        key_type=key_type,
    )
    if store_format == "jks":
        keytool()
    made = MadeCertificates(private_folder(folder.absolute()), order)
    for part in ("ca", "hosts", "clients"):
        private_folder(made.folder / part)
    root = _authority(made)
    for names in order.hosts:
        _host(made, root, names)
    for client in order.clients:
        _client(made, root, client)
    made.files.append(MadeFile(Path("README.md"), 0, "this text", secret=False))
    rows = [(str(file.path), file.step, file.what, file.secret) for file in made.files]
    write_private(
        made.folder / "README.md", certs_text.readme(order, folder=made.folder, files=rows).encode()
    )
    return made


def _authority(made: MadeCertificates) -> Root:
    root = Root.new(
        f"kafkaos local authority for {made.order.hosts[0][0]}"[
            :64
        ],  # X.509 holds a common name to 64 letters
        key_type=made.order.key_type,
        validity_days=made.order.validity_days,
    )
    made.add(
        "ca/ca.pem", root.certificate.public_bytes(Encoding.PEM), step=2, what="the authority's certificate"
    )
    made.add(
        "ca/ca-key.pem",
        key_pem(root.key),
        step=2,
        what="the authority's private key: signs new hosts and clients; belongs on no broker",
        secret=True,
    )
    return root


def _host(made: MadeCertificates, root: Root, names: tuple[str, ...]) -> None:
    host = f"hosts/{names[0]}"
    password = made.order.password or stores.random_password()
    leaf = _signed(made, root, names, folder=host, server=True)
    keystore = _keystore(made, leaf, folder=host, password=password, alias=names[0])
    truststore = _truststore(made, root, folder=host, password=password, step=6, whom="the other brokers")
    made.add(
        f"{host}/server.properties",
        certs_text.server_properties(
            made.order, host=names[0], keystore=keystore, truststore=truststore, password=password
        ),
        step=6,
        what="to merge into the broker's own server.properties; holds the password",
        secret=True,
    )


def _client(made: MadeCertificates, root: Root, name: str) -> None:
    client = f"clients/{name}"
    password = made.order.password or stores.random_password()
    keystore: Path | None = None
    private_folder(made.folder / client)
    if made.order.mutual:
        leaf = _signed(made, root, (name,), folder=client, server=False)
        keystore = _keystore(made, leaf, folder=client, password=password, alias=name)
        what = "the client's private key, for librdkafka"
        made.add(f"{client}/key.pem", leaf.key_pem, step=1, what=what, secret=True)
    truststore = _truststore(made, root, folder=client, password=password, step=7, whom="the brokers")
    made.add(
        f"{client}/ca.pem",
        root.certificate.public_bytes(Encoding.PEM),
        step=7,
        what="the same trust as PEM, for librdkafka",
    )
    made.add(
        f"{client}/client.properties",
        certs_text.java_client_properties(keystore=keystore, truststore=truststore, password=password),
        step=7,
        what="for Java clients and Kafka's tools (--command-config); holds the password",
        secret=True,
    )
    made.add(
        f"{client}/librdkafka.properties",
        certs_text.librdkafka_properties(made.folder / client, mutual=made.order.mutual),
        step=7,
        what="for librdkafka clients (confluent-kafka, kcat -F)",
    )


def _signed(made: MadeCertificates, root: Root, names: tuple[str, ...], *, folder: str, server: bool) -> Leaf:
    private_folder(made.folder / folder)
    key = new_key(made.order.key_type)
    request = signing_request(key, names=names)
    certificate = root.sign(request, validity_days=made.order.validity_days, server=server)
    request_pem, certificate_pem = request.public_bytes(Encoding.PEM), certificate.public_bytes(Encoding.PEM)
    made.add(f"{folder}/request.pem", request_pem, step=3, what="the signing request")
    made.add(
        f"{folder}/certificate.pem", certificate_pem, step=4, what="the certificate, signed by the authority"
    )
    return Leaf(key, certificate, root.certificate)


def _keystore(made: MadeCertificates, leaf: Leaf, *, folder: str, password: str, alias: str) -> Path:
    data = stores.keystore(leaf, alias=alias, password=password, rounds=_rounds(made.order))
    name = f"{folder}/keystore.{made.order.suffix}"
    what = f"private key (step 1) with the signed certificate and the authority's (step 5), alias {alias}"
    return made.add(name, _in_format(data, made.order, password), step=5, what=what, secret=True)


def _truststore(
    made: MadeCertificates, root: Root, *, folder: str, password: str, step: int, whom: str
) -> Path:
    data = stores.truststore([root.certificate], password=password, rounds=_rounds(made.order))
    name = f"{folder}/truststore.{made.order.suffix}"
    what = f"the authority's certificate: by it {whom} are trusted"
    return made.add(name, _in_format(data, made.order, password), step=step, what=what)


def _in_format(data: bytes, order: Order, password: str) -> bytes:
    return to_jks(data, password=password) if order.store_format == "jks" else data


def _rounds(order: Order) -> int:
    return stores.ROUNDS_GIVEN_PASSWORD if order.password else stores.ROUNDS_RANDOM_PASSWORD

"""All TLS files of one cluster, and the properties by which brokers and clients find them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kafkaos.errors import WrongUse
from kafkaos.shipped import near
from kafkaos.tls import stores
from kafkaos.tls.authority import Authority, Leaf, principal
from kafkaos.tls.private import private_folder, write_private
from kafkaos.tls.profiles import Profile
from kafkaos.tls.stores import JavaStores, Properties


@dataclass(frozen=True)
class NodeTls:
    """One broker's or controller's stores.

    `shown` is what the profile says, defects included; `internal` is always healthy, and the same stores
    where the profile has no defect.
    """

    name: str
    hosts: tuple[str, ...]
    principal: str
    profile: Profile
    shown: JavaStores
    internal: JavaStores

    @property
    def properties(self) -> Properties:
        """Kafka broker properties, without a prefix: they hold for every listener.

        With a defect no cluster forms over these: give `internal_properties` to the listeners of the brokers
        and `listener_properties` to the listener of the clients.
        """
        return self._properties(self.shown)

    @property
    def internal_properties(self) -> Properties:
        """As `properties`, but healthy: for listeners between brokers and controllers."""
        return self._properties(self.internal)

    def listener_properties(self, listener: str) -> Properties:
        """The profile's properties for one listener alone (`listener.name.<lower case>.…`); these, unlike
        those without a prefix, can be changed while the broker runs."""
        return {f"listener.name.{listener.lower()}.{key}": value for key, value in self.properties.items()}

    def _properties(self, java: JavaStores) -> Properties:
        return {
            **java.keystore_properties,
            **java.truststore_properties,
            "ssl.client.auth": self.profile.client_auth,
            "ssl.endpoint.identification.algorithm": "https",
            **_protocols(self.profile),
        }


@dataclass(frozen=True)
class ClientTls:
    """One client's files: PEM for librdkafka and other OpenSSL programs, PKCS12 for Java."""

    name: str
    principal: str
    ca_pem: Path
    certificate_pem: Path
    key_pem: Path
    java: JavaStores
    profile: Profile

    def librdkafka(self, *, certificate: bool = True) -> Properties:
        """librdkafka properties; without `certificate` the client shows none (mutual TLS must refuse it)."""
        shown = {"ssl.certificate.location": str(self.certificate_pem), "ssl.key.location": str(self.key_pem)}
        return {
            "security.protocol": "SSL",
            "ssl.ca.location": str(self.ca_pem),
            **(shown if certificate else {}),
            "enable.ssl.certificate.verification": "true",
            "ssl.endpoint.identification.algorithm": "https",
        }

    def java_properties(self, *, certificate: bool = True) -> Properties:
        """Properties of Kafka's Java clients and command-line tools."""
        return {
            "security.protocol": "SSL",
            **(self.java.keystore_properties if certificate else {}),
            **self.java.truststore_properties,
            "ssl.endpoint.identification.algorithm": "https",
            **_protocols(self.profile),
        }


@dataclass
class TlsMaterial:
    """A cluster's authority, what each node shows, and what each client uses."""

    folder: Path
    profile: Profile
    authority: Authority
    ca_pem: Path
    nodes: dict[str, NodeTls] = field(default_factory=dict)
    clients: dict[str, ClientTls] = field(default_factory=dict)

    def client(self, name: str) -> ClientTls:
        """The files of a client that was issued. Raises WrongUse for a name that was not."""
        if name not in self.clients:
            raise WrongUse(
                f"No TLS files were issued for the client `{name}`{near(name, sorted(self.clients))}"
            )
        return self.clients[name]

    def add_node(self, name: str, *, hosts: Sequence[str]) -> NodeTls:
        """Issues one node's stores into FOLDER/nodes/NAME."""
        own = private_folder(private_folder(self.folder / "nodes") / name)
        password = stores.random_password()
        healthy = self.profile.mended()
        leaf = self.authority.server(name, hosts=hosts, profile=healthy)
        internal = shown = JavaStores.write(
            leaf, [self.authority.certificate], folder=own, alias=name, password=password
        )
        if not self.profile.healthy:
            bad = self.server_leaf(name, hosts=hosts, profile=self.profile)
            shown = JavaStores.write(
                bad,
                [self.authority.certificate],
                folder=private_folder(own / "shown"),
                alias=name,
                password=password,
            )
        node = NodeTls(name, tuple(hosts), principal(leaf.certificate), self.profile, shown, internal)
        self.nodes[name] = node
        return node

    def add_client(self, name: str, *, profile: Profile | None = None) -> ClientTls:
        """Issues one client's files into FOLDER/clients/NAME. Without a profile the certificate is healthy;
        with one it has that profile's defects in dates and authority (it trusts the right one still)."""
        own = private_folder(private_folder(self.folder / "clients") / name)
        chosen = profile or self.profile.mended()
        leaf = self._signer(chosen).client(name, profile=chosen)
        client = ClientTls(
            name=name,
            principal=principal(leaf.certificate),
            ca_pem=write_private(own / "ca.pem", self.authority.pem),
            certificate_pem=write_private(own / "certificate.pem", leaf.certificate_pem),
            key_pem=write_private(own / "key.pem", leaf.key_pem),
            java=JavaStores.write(
                leaf, [self.authority.certificate], folder=own, alias=name, password=stores.random_password()
            ),
            profile=chosen,
        )
        self.clients[name] = client
        return client

    def server_leaf(self, name: str, *, hosts: Sequence[str], profile: Profile) -> Leaf:
        """A certificate for a node as the profile says, defects included; writes nothing."""
        return self._signer(profile).server(name, hosts=hosts, profile=profile)

    def _signer(self, profile: Profile) -> Authority:
        return Authority(key_type=profile.key_type) if profile.authority == "foreign" else self.authority


def issue(
    profile: Profile, *, folder: Path, hosts: Mapping[str, Sequence[str]], clients: Iterable[str]
) -> TlsMaterial:
    """Issues stores for each node (name to its DNS names and IP addresses) and files for each client.

    The folder gets mode 0700, its files 0600; files of the same name are replaced.
    """
    folder = private_folder(folder.absolute())
    authority = Authority(key_type=profile.key_type)
    material = TlsMaterial(folder, profile, authority, write_private(folder / "ca.pem", authority.pem))
    for name, names in hosts.items():
        material.add_node(name, hosts=names)
    for name in clients:
        material.add_client(name)
    return material


def _protocols(profile: Profile) -> Properties:
    return {"ssl.enabled.protocols": ",".join(profile.protocols), "ssl.protocol": max(profile.protocols)}

"""A client that shows no certificate to brokers that ask for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasTls
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.clients import aim_at_client, named
from kafkaos.faults.undo import RECONFIGURE_CLIENT, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import Reconfigurable, World
from kafkaos.tls.profiles import load_profile

CERTIFICATE = ("ssl.certificate.location", "ssl.key.location")


@dataclass(frozen=True)
class MissingClientCertificate(Fault):
    """A client starts anew without its certificate; mutual TLS refuses it. Healing starts it with the certificate."""

    name: ClassVar = "missing-client-certificate"
    family: ClassVar = "tls"
    title: ClassVar = "a client shows no certificate where one is required"
    client: str

    def __str__(self) -> str:
        return f"client {self.client} without its certificate"

    def available(self, cluster: Cluster) -> str | None:
        reason = lacking(cluster, [HasTls], what="ask for certificates")
        if reason is None and (
            cluster.spec.security == "plain" or load_profile(cluster.spec.security).client_auth != "required"
        ):
            reason = f"cluster {cluster.spec.name} asks for no certificate: use mutual TLS"
        return reason

    def inject(self, world: World) -> Injection:
        hit = named(world, self.client)
        if not isinstance(hit, Reconfigurable):
            raise WrongUse(f"client {self.client} is not a recording client: name one that is")
        without: dict[str, str | None] = dict.fromkeys(CERTIFICATE)
        properties = hit.reconfigure(without)  # holds from the next incarnation on
        try:
            injection = aim_at_client(
                self.name, self.client, world, RECONFIGURE_CLIENT, properties=properties
            )
        except BaseException:
            hit.reconfigure(properties)
            raise
        with undone_on_error(world, injection.undo):
            hit.restart()
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The client's own error is the broker's alert."""
        hit = world.clients[self.client]
        assert isinstance(hit, Reconfigurable)
        client = hit

        def alerted() -> str | None:
            return client.last_error if "certificate required" in client.last_error.lower() else None

        error = until(alerted, timeout_s=timeout_s)
        if error is None:
            return None
        return Evidence(told=f"{injection.told} was refused: {error[:200]}", facts=dict(injection.facts))

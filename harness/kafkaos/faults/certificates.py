"""Faults of certificates while the brokers run: gone bad, trust revoked, and rotation, which is to harm nobody.

A broker takes a new store for new connections when a setting of it is altered; those that are open go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kafkaos.cluster import Administered, Cluster, HasTls, Killable
from kafkaos.errors import WaitExpired, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, node_id_of
from kafkaos.faults.proofs import left
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.tls import rotation
from kafkaos.tls.handshake import refusal
from kafkaos.tls.material import TlsMaterial
from kafkaos.tls.profiles import load_profile

RESTORE_STORE = "restore-store"
KEYSTORE = "listener.name.client.ssl.keystore.location"
TRUSTSTORE = "listener.name.client.ssl.truststore.location"


@dataclass(frozen=True)
class _BadCertificate(Fault):
    """A broker shows a certificate with a defect to those who connect from now on."""

    family: ClassVar = "tls"
    profile: ClassVar[str]
    refused_for: ClassVar[tuple[str, ...]]
    """What OpenSSL says of the defect."""
    name: ClassVar[str]
    title: ClassVar[str]
    target: NodeTarget

    def __str__(self) -> str:
        return f"{self.name} of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return _no_tls(cluster)

    def inject(self, world: World) -> Injection:
        def replace(material: TlsMaterial, node: str) -> rotation.Replaced:
            return rotation.reissue_keystore(material, node, profile=load_profile(self.profile))

        return _replace_store(self.name, self.target, world, KEYSTORE, replace)

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """It shows this certificate to all, and a client that checks refuses it for its defect."""
        _, host, port = _door(world, injection)
        deadline_s = time.monotonic() + timeout_s
        try:
            rotation.wait_shown(injection.facts["fingerprint"], host=host, port=port, within_s=timeout_s)
        except WaitExpired:
            return None
        reason = until(lambda: _refusal(world, injection), timeout_s=left(deadline_s))
        if reason is None or not any(sign in reason for sign in self.refused_for):
            return None
        return Evidence(
            told=f"{injection.told} is refused by a client: {reason}", facts=dict(injection.facts)
        )


@dataclass(frozen=True)
class ExpiredCertificate(_BadCertificate):
    """A broker's certificate has expired."""

    name: ClassVar = "expired-certificate"
    title: ClassVar = "a broker's certificate expires under load"
    profile: ClassVar = "expired"
    refused_for: ClassVar = ("certificate has expired",)


@dataclass(frozen=True)
class UnknownCa(_BadCertificate):
    """A broker's certificate is of an authority that nobody trusts."""

    name: ClassVar = "unknown-ca"
    title: ClassVar = "a broker shows a certificate of an unknown authority"
    profile: ClassVar = "unknown-ca"
    refused_for: ClassVar = ("self-signed certificate", "unable to get local issuer certificate")


@dataclass(frozen=True)
class WrongHost(_BadCertificate):
    """A broker's certificate names another host."""

    name: ClassVar = "wrong-host"
    title: ClassVar = "a broker shows a certificate for another host"
    profile: ClassVar = "wrong-host"
    refused_for: ClassVar = ("mismatch",)


@dataclass(frozen=True)
class RevokedTrust(Fault):
    """A broker no longer trusts the authority of the clients' certificates: who connects from now on is refused.

    The harness too: healing starts the broker anew.
    """

    name: ClassVar = "revoked-trust"
    family: ClassVar = "tls"
    title: ClassVar = "a broker no longer trusts the clients' authority"
    target: NodeTarget

    def __str__(self) -> str:
        return f"revoked trust of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        reason = _no_tls(cluster)
        if reason is None and load_profile(cluster.spec.security).client_auth != "required":
            reason = f"clients of cluster {cluster.spec.name} show no certificate: use mutual TLS"
        return reason

    def inject(self, world: World) -> Injection:
        return _replace_store(self.name, self.target, world, TRUSTSTORE, rotation.revoke_trust)

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A client with a good certificate is sent away by a TLS alert."""
        reason = until(lambda: _refusal(world, injection), timeout_s=timeout_s)
        if reason is None:
            return None
        return Evidence(told=f"{injection.told} sends clients away: {reason}", facts=dict(injection.facts))


@dataclass(frozen=True)
class RotateCertificates(Fault):
    """Every broker gets a new key and certificate, one after the other, while all runs. Nobody is to notice.

    Healing undoes nothing: the new certificates are good.
    """

    name: ClassVar = "rotate-certificates"
    family: ClassVar = "tls"
    title: ClassVar = "every broker's key and certificate is replaced under load"

    def __str__(self) -> str:
        return "rotation of all certificates"

    def available(self, cluster: Cluster) -> str | None:
        return _no_tls(cluster)

    def inject(self, world: World) -> Injection:
        cluster, material = world.cluster, _material(world)
        assert isinstance(cluster, Administered)
        before = cluster.observe()
        brokers = [node for node in cluster.nodes if node.is_broker]
        shown = {}
        for node in brokers:
            new = rotation.reissue_keystore(material, node.name)
            cluster.alter_broker(node.id, {KEYSTORE: str(new.store)})
            shown[node.client_address] = new.fingerprint
        told = f"{len(brokers)} broker(s)"
        return Injection(
            fault=self.name, target=brokers[0].id, told=told, before=before, undo=(), facts={"shown": shown}
        )

    def evidence(
        self,
        world: World,  # noqa: ARG002 - whoever connects sees it
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,
    ) -> Evidence | None:
        """Each shows its new certificate to all who connect."""
        for address, fingerprint in injection.facts["shown"].items():
            host, _, port = address.rpartition(":")
            try:
                rotation.wait_shown(fingerprint, host=host, port=int(port), within_s=timeout_s)
            except WaitExpired:
                return None
        told = f"{injection.told} show new certificates"
        return Evidence(told=told, facts=dict(injection.facts))


def _no_tls(cluster: Cluster) -> str | None:
    reason = lacking(cluster, [HasTls, Administered, Killable], what="change certificates")
    if reason is None and cluster.spec.security == "plain":
        reason = f"cluster {cluster.spec.name} speaks plaintext: use one with TLS"
    return reason


def _material(world: World) -> TlsMaterial:
    assert isinstance(world.cluster, HasTls)
    assert world.cluster.tls is not None
    return world.cluster.tls


def _replace_store(
    fault: str,
    target: NodeTarget,
    world: World,
    setting: str,
    replace: Callable[[TlsMaterial, str], rotation.Replaced],
) -> Injection:
    material = _material(world)

    def facts(node_id: int) -> dict[str, Any]:
        node = world.cluster.node(node_id)
        if not node.is_broker:
            raise WrongUse(f"{node.name} has no clients: choose a broker")
        stores = material.nodes[node.name].shown
        store = stores.keystore if setting == KEYSTORE else stores.truststore
        return {"store": str(store), "setting": setting}

    injection = aim_at_node(fault, target, world, RESTORE_STORE, facts=facts)
    assert isinstance(world.cluster, Administered)
    with undone_on_error(world, injection.undo):
        node_id = node_id_of(injection)
        replaced = replace(material, world.cluster.node(node_id).name)
        injection.facts["fingerprint"] = replaced.fingerprint
        world.cluster.alter_broker(node_id, {setting: str(replaced.store)})
    return injection


def _door(world: World, injection: Injection) -> tuple[TlsMaterial, str, int]:
    host, _, port = world.cluster.node(node_id_of(injection)).client_address.rpartition(":")
    return _material(world), host, int(port)


def _refusal(world: World, injection: Injection) -> str | None:
    """Why a good client is refused; None also where nobody answered in time, which is no refusal."""
    material, host, port = _door(world, injection)
    try:
        return refusal(material.client("client"), host, port)
    except OSError:
        return None


def _restore(world: World, undo: Undo) -> None:
    cluster, node_id = world.cluster, undo.facts["node"]
    assert isinstance(cluster, Administered)
    assert isinstance(cluster, Killable)
    rotation.restore(Path(undo.facts["store"]))
    if not cluster.is_running(node_id):
        cluster.start(node_id)
        return
    if undo.facts["setting"] == KEYSTORE:
        cluster.alter_broker(node_id, {KEYSTORE: undo.facts["store"]})
        return
    # It trusts nobody who could tell it.
    cluster.kill(node_id)
    cluster.start(node_id)


def _leftover(undo: Undo) -> str:
    return f"the certificates of {undo.facts['name']} went with its cluster; nothing to undo."


UNDO_KINDS[RESTORE_STORE] = UndoKind(_restore, _leftover)

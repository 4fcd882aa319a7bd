"""The end of a run's traffic, in order, and what is taken down when it is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from kafkaos.apps.handle import AppHandle
from kafkaos.apps.truth import Truth
from kafkaos.backends.replicas import record_replicas
from kafkaos.cluster import Cluster
from kafkaos.errors import SetupFailed
from kafkaos.history.recording import SEGMENTS_FOLDER, write_meta
from kafkaos.run.clients import Handle
from kafkaos.traffic.catch_up import Reading, wait_caught_up
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.handles import ConsumerHandle, FinalHandle, ProducerHandle
from kafkaos.traffic.settings import FinalSettings

FINAL_DEADLINE_S = 120.0


def end_traffic(clients: Collection[Handle], cluster: Cluster, *, timeout_s: float) -> None:
    """Producers first; then, when every group has read all of it, the others. WaitExpired for what takes longer."""
    for client in clients:
        if isinstance(client, ProducerHandle) and client.is_running:
            client.drain(timeout_s=timeout_s)
    for client in clients:
        if isinstance(client, AppHandle) and client.is_running:
            client.wait_ready(timeout_s=timeout_s)
    wait_caught_up(_groups(clients), cluster.client_config(), timeout_s=timeout_s)
    for client in clients:
        if client.is_running:
            client.stop()


def _groups(clients: Collection[Handle]) -> dict[str, Reading]:
    """The groups that the drain waits for, with the topics that they are to read to the end."""
    groups: dict[str, Reading] = {}
    for client in clients:
        if not client.is_running:
            continue
        if isinstance(client, AppHandle):
            group, topics = client.settings.group, client.settings.reads
        elif isinstance(client, ConsumerHandle) and client.settings.commit in ("batch", "record", "before"):
            group, topics = client.settings.group, client.settings.topics
        else:
            continue
        if group is not None and topics:
            reading = groups.setdefault(group, Reading())
            reading.topics.update(topics)
            if client.settings.isolation == "uncommitted":
                reading.isolation = "uncommitted"
    return groups


def read_final_truth(topics: Sequence[str], cluster: Cluster, around: Surroundings) -> None:
    """Take down each topic's whole log at both isolation levels, and what every replica holds."""
    settings = FinalSettings(
        topics=tuple(topics), client="final-reader", config=dict(cluster.client_config()),
        deadline_s=FINAL_DEADLINE_S,
    )  # fmt: skip
    FinalHandle(settings, around).read_all()
    record_replicas(cluster, topics, around.folder / SEGMENTS_FOLDER, run=around.run)


def record_apps(apps: Sequence[AppHandle], folder: Path) -> None:
    """Write the applications' rows. SetupFailed for one that ended by itself, as no good application does."""
    if not apps:
        return
    truth = Truth(sorted((folder / SEGMENTS_FOLDER).glob("final-reader-*.seg")))
    for app in apps:
        app.record(truth)
    write_meta(folder, {"applications": [app.told() for app in apps]})
    for app in apps:
        if app.crashed:
            raise SetupFailed(
                f"application {app.name!r} ended by itself with status {app.exit_status}: see {app.log_path}, or "
                "wait for that with wait_ended() where it is what the scenario wants"
            )

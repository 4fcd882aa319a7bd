"""What each replica of a topic holds on disk, as rows of the recording: taken when traffic is over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kafkaos.cluster import Cluster, HasFiles
from kafkaos.history.log_segment import read_batches
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op, Outcome


def record_replicas(cluster: Cluster, topics: Sequence[str], segments: Path, *, run: str) -> None:
    """One segment file a broker, of the partitions that have several replicas; nothing without files to read.

    The log's end is `ok` for a replica in sync: that one must hold all below the high watermark.
    """
    state = cluster.observe(list(topics))
    shared = [one for one in state.partitions if one.topic in topics and len(one.replicas) > 1]
    if not isinstance(cluster, HasFiles) or not shared:
        return
    for node in cluster.nodes:
        mine = [one for one in shared if node.id in one.replicas]
        if not mine:
            continue
        path = segments / f"replica-{node.name}.seg"
        with Recorder(path, client=node.name, incarnation=0, role="replica", run=run) as recorder:
            for one in mine:
                folder = cluster.partition_folder(node.id, one.topic, one.partition)
                end = 0
                for batch in read_batches(folder):
                    recorder.add(
                        Op.REPLICA, topic=one.topic, partition=one.partition, offset=batch.first, sequence=batch.last,
                        value=batch.fingerprint, leader_epoch=batch.leader_epoch, outcome=Outcome.OK,
                    )  # fmt: skip
                    end = batch.last + 1
                in_sync = node.id in one.isr
                recorder.add(
                    Op.REPLICA_END, topic=one.topic, partition=one.partition, offset=end,
                    outcome=Outcome.OK if in_sync else Outcome.INFO,
                )  # fmt: skip

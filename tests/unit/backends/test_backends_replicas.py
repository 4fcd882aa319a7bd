"""What each replica holds on disk, as rows of the recording."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from kafkaos.backends.network import Subnet
from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.replicas import record_replicas
from kafkaos.cluster import ClusterState, PartitionState
from kafkaos.history.reading import read_segment
from kafkaos.history.rows import Op
from kafkaos.spec import ClusterSpec

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # a call that Python 3.11 deprecates
    from kafka.record.default_records import DefaultRecordBatchBuilder


@pytest.mark.parametrize("place", [0, 1])
def test_a_replica_is_found_in_whichever_log_directory_has_it(
    place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker spreads partitions over its log directories: one in the second does not count as empty."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path))
    spec = ClusterSpec(name="two-disks", brokers=2, log_dirs=2)
    nothing = None
    cluster = ProcessCluster(
        spec, supervisor=nothing, jvm=None, subnet=Subnet(2, -1, 1, 2, 3), log_folder=tmp_path  # type: ignore[arg-type]
    )  # fmt: skip
    orders = PartitionState("orders", 0, 1, 0, (1, 2), (1, 2))
    monkeypatch.setattr(cluster, "observe", lambda _: ClusterState((orders,), 101, (1, 2)))
    for node_id in (1, 2):
        folder = cluster.log_dirs(node_id)[place] / "orders-0"
        folder.mkdir(parents=True)
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1 << 10)
        builder.append(0, 1_000, None, b"a", [])
        (folder / f"{0:020}.log").write_bytes(bytes(builder.build()))
    record_replicas(cluster, ["orders"], tmp_path, run="r")
    for name in ("broker-1", "broker-2"):
        rows = read_segment(tmp_path / f"replica-{name}.seg").rows
        assert rows["offset"][rows["op"] == Op.REPLICA_END].tolist() == [1]

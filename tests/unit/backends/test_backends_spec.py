"""What a cluster file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.errors import WrongUse
from kafkaos.spec import load_spec


def test_a_login_without_tls_is_wrong_use(tmp_path: Path) -> None:
    """Passwords never go over a plaintext listener: `sasl` without a TLS profile is refused with the way out."""
    path = tmp_path / "open.toml"
    path.write_text('sasl = "SCRAM-SHA-512"\n')
    with pytest.raises(WrongUse, match='set security = "tls"'):
        load_spec(str(path))


def test_a_zookeeper_for_kafka_4_is_wrong_use(tmp_path: Path) -> None:
    """Kafka 4 knows no ZooKeeper: a cluster file that asks for both is refused with the version that does."""
    path = tmp_path / "old.toml"
    path.write_text('controllers = "zookeeper"\n')
    with pytest.raises(WrongUse, match=r"controllers.*needs kafka"):
        load_spec(str(path))

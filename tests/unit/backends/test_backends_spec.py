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


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('security = "mtsl"', "did you mean `mtls`"),
        ('kafka = ""', "`kafka` does not fit: `` is no version of Kafka: write it as X.Y.Z"),
        ('name = "../../x"', "`name` does not fit: `../../x` is no name"),
        ("brokers = true", "`brokers` does not fit"),
        ('brokers = "3"', "`brokers` does not fit"),
        ('log_dirs = "2"', "`log_dirs` does not fit"),
        ('client_port = "80"', "`client_port` does not fit"),
        ('disk_mb = "64"', "`disk_mb` does not fit"),
        ("[properties]\nx = [1]", "`properties.x` does not fit"),
        ("[properties]\nx = {int = 1}", "`properties.x` does not fit"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_key(tmp_path: Path, line: str, told: str) -> None:
    """Nothing is taken for something else, and no key is named that the file does not have."""
    path = tmp_path / "mine.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(WrongUse) as raised:
        load_spec(str(path))
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)


def test_what_toml_gives_is_taken_as_it_is(tmp_path: Path) -> None:
    """Properties of every kind, a version with a suffix and a number for a number."""
    path = tmp_path / "mine.toml"
    path.write_text('brokers = 3\nkafka = "4.3.0-rc1"\n[properties]\na = 1\nb = true\nc = 1.5\nd = "x"\n')
    spec = load_spec(str(path))
    assert (spec.name, spec.brokers, spec.kafka) == ("mine", 3, "4.3.0-rc1")
    assert spec.properties == {"a": 1, "b": True, "c": 1.5, "d": "x"}


def test_a_file_that_cannot_be_read_as_text_is_told(tmp_path: Path) -> None:
    """A folder in its place, or bytes that are no UTF-8: one sentence, no mistake of kafkaos."""
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(WrongUse, match=r"mine\.toml is not UTF-8"):
        load_spec(str(path))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(WrongUse, match=r"folder\.toml cannot be read: Is a directory"):
        load_spec(str(tmp_path / "folder.toml"))

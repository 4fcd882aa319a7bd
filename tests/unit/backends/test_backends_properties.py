"""What Java reads: passwords and paths of any letters arrive as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafkaos.apps.environment import CLIENT_CONFIG, JAVA_CONFIG, client_environment
from kafkaos.backends import kraft
from kafkaos.backends.external import ExternalCluster
from kafkaos.spec import ClusterSpec

PASSWORD = r"""a"b\c#d=e;'f"""


@pytest.fixture
def theirs() -> Any:
    """Somebody's cluster that was never reached, with a password as password managers make them."""
    cluster = object.__new__(ExternalCluster)
    cluster._spec = ClusterSpec(name="theirs")
    cluster._config = {
        "bootstrap.servers": "kafka:9093",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": r"corp\billing",
        "sasl.password": PASSWORD,
    }
    return cluster


def test_quotes_and_backslashes_of_a_login_are_escaped_for_java(theirs: Any, tmp_path: Path) -> None:
    """Once for the quotes of JAAS, and once more for the properties file; librdkafka's programs know no escapes."""
    login = theirs.java_config()["sasl.jaas.config"]
    assert login.endswith(r""" required username="corp\\billing" password="a\"b\\c#d=e;'f";""")
    environment = client_environment(theirs, folder=tmp_path / "client")
    java = Path(environment[JAVA_CONFIG]).read_text(encoding="utf-8")
    assert java.endswith(r"""username="corp\\\\billing" password="a\\"b\\\\c#d=e;'f";""" + "\n")
    assert f"sasl.password={PASSWORD}\n" in Path(environment[CLIENT_CONFIG]).read_text(encoding="utf-8")


def test_a_broker_finds_a_folder_with_letters_beyond_ascii(tmp_path: Path) -> None:
    """Java takes a properties file for Latin-1, whatever the machine's locale is."""
    path = tmp_path / "server.properties"
    kraft.write_properties(path, {"log.dirs": "/home/josé/tmp", "x": "a\\b"})
    assert path.read_bytes() == b"log.dirs=/home/jos\\u00e9/tmp\nx=a\\\\b\n"
    assert path.stat().st_mode & 0o077 == 0

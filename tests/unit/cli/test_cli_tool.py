"""`kafkaos tool`: names and what a tool is told of its cluster."""

from __future__ import annotations

import pytest

from kafkaos.commands.tool import short_name, with_connection
from kafkaos.errors import WrongUse

HERE = {"KAFKAOS_BOOTSTRAP": "127.2.1.1:19092", "KAFKAOS_JAVA_CONFIG": "/keys/java.properties"}
CONNECTED = ["--bootstrap-server", "127.2.1.1:19092", "--command-config", "/keys/java.properties"]


@pytest.mark.parametrize("name", ["topics", "kafka-topics", "kafka-topics.sh"])
def test_kafkas_own_names_are_taken(name: str) -> None:
    """A tool is found by the name of its script as well."""
    assert short_name(name) == "topics"


def test_an_unknown_tool_is_wrong_use() -> None:
    """The near match is named."""
    with pytest.raises(WrongUse, match="did you mean `console-consumer`"):
        short_name("console-consume")


def test_the_cluster_of_the_environment_is_added() -> None:
    """Server and settings are put before the tool's own arguments."""
    assert with_connection("topics", ["--list"], HERE) == [*CONNECTED, "--list"]
    assert with_connection("get-offsets", [], HERE) == CONNECTED


def test_options_stand_after_a_subcommand_where_the_tool_wants_it() -> None:
    """`cluster` knows the options only after its subcommand."""
    assert with_connection("cluster", ["cluster-id"], HERE) == ["cluster-id", *CONNECTED]


@pytest.mark.parametrize("given", [["--bootstrap-server", "else:1"], ["--bootstrap-server=else:1"]])
def test_another_cluster_does_not_get_the_keys_of_this_one(given: list[str]) -> None:
    """Who names a server gets nothing of the environment."""
    assert with_connection("topics", [*given, "--list"], HERE) == [*given, "--list"]


def test_settings_of_ones_own_are_kept() -> None:
    """A given --command-config wins, the server is still added."""
    given = ["--command-config", "mine", "--list"]
    assert with_connection("topics", given, HERE) == [*CONNECTED[:2], *given]


@pytest.mark.parametrize(("name", "given"), [("dump-log", ["--files", "x"]), ("topics", ["--help"])])
def test_nothing_is_added_where_no_broker_is_asked(name: str, given: list[str]) -> None:
    """Tools that read files, and requests for help, stay as they were typed."""
    assert with_connection(name, given, HERE) == given

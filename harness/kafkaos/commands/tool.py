"""`kafkaos tool`: Kafka's own command-line tools, by the cached JRE and jars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from kafkaos.commands.options import JavaHome
from kafkaos.commands.telling import progress
from kafkaos.errors import WrongUse
from kafkaos.shipped import near

TOOLS = "org.apache.kafka.tools."
CLASSES = {
    "acls": TOOLS + "AclCommand",
    "broker-api-versions": TOOLS + "BrokerApiVersionsCommand",
    "client-metrics": TOOLS + "ClientMetricsCommand",
    "cluster": TOOLS + "ClusterTool",
    "configs": "kafka.admin.ConfigCommand",
    "console-consumer": TOOLS + "consumer.ConsoleConsumer",
    "console-producer": TOOLS + "ConsoleProducer",
    "console-share-consumer": TOOLS + "consumer.ConsoleShareConsumer",
    "consumer-groups": TOOLS + "consumer.group.ConsumerGroupCommand",
    "consumer-perf-test": TOOLS + "ConsumerPerformance",
    "delegation-tokens": TOOLS + "DelegationTokenCommand",
    "delete-records": TOOLS + "DeleteRecordsCommand",
    "dump-log": TOOLS + "DumpLogSegments",
    "e2e-latency": TOOLS + "EndToEndLatency",
    "features": TOOLS + "FeatureCommand",
    "get-offsets": TOOLS + "GetOffsetShell",
    "groups": TOOLS + "GroupsCommand",
    "jmx": TOOLS + "JmxTool",
    "leader-election": TOOLS + "LeaderElectionCommand",
    "log-dirs": TOOLS + "LogDirsCommand",
    "metadata-quorum": TOOLS + "MetadataQuorumCommand",
    "producer-perf-test": TOOLS + "ProducerPerformance",
    "reassign-partitions": TOOLS + "reassign.ReassignPartitionsCommand",
    "replica-verification": TOOLS + "ReplicaVerificationTool",
    "share-consumer-perf-test": TOOLS + "ShareConsumerPerformance",
    "share-groups": TOOLS + "consumer.group.ShareGroupCommand",
    "storage": "kafka.tools.StorageTool",
    "streams-application-reset": TOOLS + "StreamsResetter",
    "streams-groups": TOOLS + "streams.StreamsGroupCommand",
    "topics": TOOLS + "TopicCommand",
    "transactional-message-copier": TOOLS + "TransactionalMessageCopier",
    "transactions": TOOLS + "TransactionsCommand",
    "verifiable-consumer": TOOLS + "VerifiableConsumer",
    "verifiable-producer": TOOLS + "VerifiableProducer",
    "verifiable-share-consumer": TOOLS + "VerifiableShareConsumer",
}
# These talk to no broker, or are told of it in a way of their own.
WITHOUT_CONNECTION = frozenset(
    {"dump-log", "e2e-latency", "jmx", "replica-verification", "storage", "transactional-message-copier"}
)
# The options of this one stand after its subcommand, those of the others before it.
OPTIONS_LAST = frozenset({"cluster"})
CONNECTION = ("--bootstrap-server", "--command-config")
HELP = frozenset({"--help", "-h", "--version"})
OTHER_WORDS = {
    "--bootstrap-server": ("--bootstrap-server", "--bootstrap-controller", "--broker-list"),
    "--command-config": (
        "--command-config",
        "--config",
        "--producer.config",
        "--consumer.config",
        "--config-file",
    ),
}
HEAP_MB = 512
LOG_CONFIG = Path(__file__).with_name("tool-log4j2.properties")


def tool(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(CLASSES)}.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]…", help="As the tool wants them.")
    ] = None,
    java_home: JavaHome = None,
) -> int:
    """Run one of Kafka's own tools.

    Without --bootstrap-server and --command-config it takes them from KAFKAOS_BOOTSTRAP and KAFKAOS_JAVA_CONFIG,
    which `kafkaos up` sets. Our own options stand before NAME; what follows it is the tool's.
    """
    name = short_name(name)
    main_class = CLASSES[name]
    from kafkaos.backends.jars import kafka_jars
    from kafkaos.backends.java import find_java
    from kafkaos.backends.jvm import Jvm
    from kafkaos.spec import DEFAULT_KAFKA_VERSION

    with progress() as tell:
        jvm = Jvm(find_java(java_home), kafka_jars(DEFAULT_KAFKA_VERSION, tell))
    wanted = with_connection(name, list(arguments or []), os.environ)
    command = jvm.command(main_class, *wanted, heap_mb=HEAP_MB, log_config=LOG_CONFIG)
    # The tool takes our place: terminal, signals and exit status are its own.
    os.execv(command[0], command)


def short_name(name: str) -> str:
    """The tool's word; `kafka-` before and `.sh` after it are taken too. WrongUse for an unknown one."""
    short = name.removeprefix("kafka-").removesuffix(".sh")
    if short not in CLASSES:
        raise WrongUse(f"There is no tool `{name}`{near(short, sorted(CLASSES))}")
    return short


def with_connection(name: str, arguments: list[str], environment: Mapping[str, str]) -> list[str]:
    """The arguments with the cluster of the environment, where they name none themselves."""
    if name in WITHOUT_CONNECTION or HELP & set(arguments):
        return arguments
    given = {argument.split("=", 1)[0] for argument in arguments}
    if given & set(OTHER_WORDS["--bootstrap-server"]):
        # Another cluster than that of the environment may be meant: its keys are not given away.
        return arguments
    added: list[str] = []
    for option, variable in zip(CONNECTION, ("KAFKAOS_BOOTSTRAP", "KAFKAOS_JAVA_CONFIG"), strict=True):
        value = environment.get(variable)
        if value and not given & set(OTHER_WORDS[option]):
            added += [option, value]
    return [*arguments, *added] if name in OPTIONS_LAST else [*added, *arguments]

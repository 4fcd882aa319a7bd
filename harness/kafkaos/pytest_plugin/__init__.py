"""The pytest plugin: marker `kafka_cluster`, fixtures `kafka_cluster` and `chaos`, options, verdicts.

Installed with pip it works in anybody's repository: clusters and TLS profiles come with the package. Nothing that
Kafka needs is imported before it is used: a pytest run without Kafka must not pay for it.
"""

from kafkaos.pytest_plugin.fixtures import (
    chaos,
    kafka_cluster,
    kafka_cluster_spec,
    kafka_plan,
    kafkaos_session,
    pytest_pyfunc_call,
)
from kafkaos.pytest_plugin.options import (
    pytest_addoption,
    pytest_configure,
    pytest_configure_node,
    pytest_report_header,
    pytest_sessionstart,
)
from kafkaos.pytest_plugin.outcomes import (
    last_exit_status,
    pytest_runtest_call,
    pytest_runtest_logreport,
    pytest_runtest_makereport,
    pytest_runtest_setup,
    pytest_sessionfinish,
)
from kafkaos.pytest_plugin.selection import (
    pytest_collection_modifyitems,
    pytest_generate_tests,
    pytest_runtest_protocol,
)

__all__ = [
    "chaos",
    "kafka_cluster",
    "kafka_cluster_spec",
    "kafka_plan",
    "kafkaos_session",
    "last_exit_status",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_pyfunc_call",
    "pytest_report_header",
    "pytest_runtest_call",
    "pytest_runtest_logreport",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_sessionstart",
]

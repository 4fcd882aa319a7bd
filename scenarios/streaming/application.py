"""A quixstreams application by settings, and its run from the first line to the last."""

from typing import Any

from quixstreams import Application
from quixstreams.kafka import ConnectionConfig

from streaming.lines import processed, say
from streaming.settings import Settings

POLL_S = 0.1
TRANSACTION_MS = 60_000
IDLE_MS = 5_000
"""Connections unused for so long are closed. When the group's coordinator left the cluster, librdkafka's call that adds
the offsets to a transaction heeds no time-out, and looks for the new one only when some connection comes or goes (its
issues 5511 and 5456): without this the application stands still for as long as the brokers keep idle connections."""


def application(settings: Settings) -> Application:
    """State in RocksDB below the state folder, backed by changelog topics, which are named after the group."""
    producer: dict[str, Any] = {}
    if settings.guarantee == "exactly-once":
        # quixstreams makes up a new id at each start; then the transaction of one that was killed stays open
        # until its time-out, and readers of committed records wait for it.
        producer = {
            "transactional.id": f"{settings.group}-{settings.instance}",
            "transaction.timeout.ms": TRANSACTION_MS,
            "connections.max.idle.ms": IDLE_MS,
        }
    return Application(
        broker_address=ConnectionConfig.from_librdkafka_dict(settings.client),
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        commit_interval=settings.commit_interval_s,
        state_dir=settings.state_folder,
        processing_guarantee=settings.guarantee,  # type: ignore[arg-type]  # it refuses others in words
        consumer_extra_config={"group.instance.id": f"{settings.group}-{settings.instance}"},
        producer_extra_config=producer,
        consumer_poll_timeout=POLL_S,
        on_message_processed=processed,
    )


def run(app: Application) -> None:
    """Until SIGTERM; then what is under way is committed."""
    say("startup_complete")
    app.run()
    say("shutdown_complete")

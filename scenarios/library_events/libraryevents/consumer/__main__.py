"""`python -m libraryevents.consumer`: the service until SIGTERM; status 1 if a listener died."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

from libraryevents.consumer.health import HealthServer
from libraryevents.consumer.listener import Listener
from libraryevents.consumer.processing import LibraryEventsService, Processor, Recovery
from libraryevents.consumer.recovery import DatabaseRecovery, TopicRecovery
from libraryevents.consumer.scheduler import ReplayScheduler
from libraryevents.consumer.settings import ConsumerServiceSettings
from libraryevents.consumer.store import LibraryStore
from libraryevents.lines import configure_logging, say
from libraryevents.topics import make_topics

log = logging.getLogger(__name__)
LOOK_EVERY_S = 0.2


def listeners(
    settings: ConsumerServiceSettings, store: LibraryStore, stopping: threading.Event
) -> list[Listener]:
    """Those of the topic, and that of the retry topic where it is on."""
    service = LibraryEventsService(store)
    recovery: Recovery = TopicRecovery(settings) if settings.recovery == "topic" else DatabaseRecovery(store)
    processor = Processor(service, recovery, settings, stopping)
    made = [
        Listener(
            f"listener-{number}", settings, processor, stopping, topic=settings.topic, group=settings.group
        )
        for number in range(settings.concurrency)
    ]
    if settings.recovery == "topic" and settings.retry_listener:
        made.append(
            Listener(
                "retry-listener",
                settings,
                processor,
                stopping,
                topic=settings.retry_topic,
                group=settings.retry_group,
            )
        )
    return made


def main() -> int:
    settings = ConsumerServiceSettings()
    configure_logging(settings.log_level)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    store = LibraryStore(settings.database_url, timeout_s=settings.database_timeout_s)
    threads = listeners(settings, store, stopping)
    scheduler = ReplayScheduler(store, LibraryEventsService(store), settings, stopping)

    def state() -> dict[str, Any]:
        store.ping()
        return {"listeners": {thread.name: thread.assigned for thread in threads}}

    health = HealthServer(settings.http_host, settings.http_port, state)
    if settings.recovery == "topic":  # the listeners' own topic is the producer service's to make
        topics = [settings.retry_topic, settings.dead_letter_topic]
        make_topics(
            settings.client_config(),
            topics,
            partitions=settings.topic_partitions,
            replicas=settings.topic_replicas,
            stopping=stopping,
        )
    say("startup_complete", host=settings.http_host, port=health.port)
    for thread in [*threads, scheduler]:
        thread.start()
    while not stopping.wait(LOOK_EVERY_S):
        if not all(thread.is_alive() for thread in threads):
            stopping.set()
    for thread in [*threads, scheduler]:
        thread.join()
    health.close()
    store.close()
    failed = [thread.name for thread in threads if thread.failure is not None]
    if failed:
        log.error("ended because listeners failed", extra={"listeners": failed})
        return 1
    say("shutdown_complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())

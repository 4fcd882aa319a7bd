"""`python -m libraryevents.producer`: the service until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import uvicorn
import uvloop
from fastapi import FastAPI

from libraryevents.lines import configure_logging, say
from libraryevents.producer.http import application
from libraryevents.producer.publisher import Publisher
from libraryevents.producer.recovery import DatabaseRecovery, Recovery, TopicRecovery
from libraryevents.producer.service import LibraryEventsService
from libraryevents.producer.settings import ProducerSettings
from libraryevents.producer.store import FailedSends
from libraryevents.topics import make_topics

log = logging.getLogger(__name__)


async def replay_until(stopped: asyncio.Event, recovery: Recovery, *, interval_s: float) -> None:
    """The scheduler: whatever a round dies of, there is a next one. A round that has begun is finished."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), interval_s)
            return
        try:
            replayed = await recovery.replay()
            if replayed:
                log.info("replayed", extra={"events": replayed})
        except Exception:
            log.exception("the replay failed; it is tried again")


def build(settings: ProducerSettings) -> FastAPI:
    """The application with everything it needs."""
    publisher = Publisher(settings)
    recovery: Recovery
    topics = [settings.topic]
    if settings.recovery == "database":
        store = FailedSends(settings.database_url, timeout_s=settings.database_timeout_s)
        recovery = DatabaseRecovery(store, publisher)
    else:
        recovery = TopicRecovery(settings, publisher)
        topics.append(settings.recovery_topic)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        stopping = threading.Event()
        making = asyncio.create_task(
            asyncio.to_thread(
                make_topics,
                settings.client_config(),
                topics,
                partitions=settings.topic_partitions,
                replicas=settings.topic_replicas,
                stopping=stopping,
            )
        )
        await asyncio.wait([making], timeout=settings.topic_wait_s)
        if making.done():
            making.result()  # a topic that can never be made ends the service here
        stopped = asyncio.Event()
        scheduler = asyncio.create_task(
            replay_until(stopped, recovery, interval_s=settings.scheduler_interval_s)
        )
        yield
        # Every request has its answer by now.
        stopping.set()
        stopped.set()
        await asyncio.gather(scheduler, making, return_exceptions=True)
        await asyncio.to_thread(publisher.close, timeout_s=settings.send_timeout_ms / 1000 + 1)
        await asyncio.to_thread(recovery.close)

    service = LibraryEventsService(settings.topic, publisher, recovery)
    return application(service, recovery, lifespan)


class Server(uvicorn.Server):
    """A stop that was asked for is no failure: uvicorn's own server ends by the signal, this one with status 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(settings: ProducerSettings) -> None:
    """Listen and answer until SIGTERM or SIGINT; requests that are being answered are finished."""
    app = build(settings)
    listener = socket.create_server((settings.http_host, settings.http_port), backlog=512)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.stop_grace_s,
        timeout_keep_alive=30,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        host, port = listener.getsockname()[:2]
        say("startup_complete", host=host, port=port)
    await serving
    if not server.started:
        raise SystemExit(3)
    say("shutdown_complete")


def main() -> None:
    settings = ProducerSettings()
    configure_logging(settings.log_level)
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()

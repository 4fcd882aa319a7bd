"""Listening in on the wire between clients and a broker: a relay that keeps a copy of all that goes through."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from kafkaos.backends.kraft import write_properties
from kafkaos.backends.process import ProcessCluster

DEADLINE_S = 60
CHUNK_BYTES = 1 << 16

Address = tuple[str, int]


class WireTap:
    """What went to the broker and what came back, of all connections together."""

    def __init__(self, listen: Address, broker: Address) -> None:
        self.address = f"{listen[0]}:{listen[1]}"
        self.to_broker = bytearray()
        self.to_client = bytearray()
        self._listen = listen
        self._broker = broker
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._run(),), name="wiretap"
        )

    def __enter__(self) -> WireTap:
        self._thread.start()
        if not self._listening.wait(DEADLINE_S):
            raise TimeoutError(f"nothing listens at {self.address}")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    async def _run(self) -> None:
        connections: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._relay(reader, writer)
            connections.discard(task)

        server = await asyncio.start_server(accept, *self._listen)
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            broker_reader, broker_writer = await asyncio.open_connection(*self._broker)
            with contextlib.closing(broker_writer):
                await asyncio.wait(
                    [
                        asyncio.ensure_future(_pass_on(reader, broker_writer, self.to_broker)),
                        asyncio.ensure_future(_pass_on(broker_reader, writer, self.to_client)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, copy: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK_BYTES):
            copy += data
            sink.write(data)
            await sink.drain()


@contextlib.contextmanager
def tapped(cluster: ProcessCluster) -> Iterator[WireTap]:
    """A single broker that is started again to tell clients the relay's address for its own.

    The relay is at the address that clients (reader 0 in the cluster's subnet) have for the broker: its certificate
    names it.
    """
    node = cluster.node(1)
    host, _, port = node.client_address.rpartition(":")
    network, cluster_number, _, number = host.split(".")
    with WireTap((f"{network}.{cluster_number}.0.{number}", int(port)), (host, int(port))) as tap:
        cluster.dirty = True  # no other test shall have a broker that is told by this address
        cluster.kill(node.id)
        path = cluster.files(node.id).properties
        lines = (line.split("=", 1) for line in path.read_text().splitlines())
        properties = {key: value.replace("\\\\", "\\") for key, value in lines}
        properties["advertised.listeners"] = properties["advertised.listeners"].replace(
            f"CLIENT://{node.client_address}", f"CLIENT://{tap.address}"
        )
        write_properties(path, properties)
        cluster.start(node.id)
        cluster.wait_healthy(timeout_s=DEADLINE_S)
        yield tap

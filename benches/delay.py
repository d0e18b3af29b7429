#!/usr/bin/env python3
"""A TCP proxy that makes a loopback link long, and counts what travels on it.

    delay.py TRIPS-FILE ROUND-TRIP-MS LISTEN:PORT=BACKEND:PORT…

For kernels without netem. A connection costs its three-way handshake, too: the server sees it one and a half round
trips after the client began. Bandwidth is not limited, and there is no slow start: bulk transfers look better than on
a real long link.

For each connection that ends, a line is added to TRIPS-FILE: how often the direction turned back to the client (round
trips of the whole conversation, handshake and login included), bytes to the server, bytes to the client.
"""

import asyncio
import collections
import socket
import sys

CHUNK = 1 << 18


class Link:
    """One proxied connection: what is under way in each direction, and the counts."""

    def __init__(self, one_way: float, trips_file: str):
        self.one_way = one_way
        self.trips_file = trips_file
        self.turns = 0
        self.bytes = [0, 0]
        self.last_to_server = True

    def count(self, to_server: bool, size: int) -> None:
        self.bytes[0 if to_server else 1] += size
        if self.last_to_server and not to_server:
            self.turns += 1
        self.last_to_server = to_server

    async def pump(self, reader, writer, to_server: bool, not_before: float) -> None:
        loop = asyncio.get_running_loop()
        queue: collections.deque = collections.deque()
        grown = asyncio.Event()

        async def deliver() -> None:
            while True:
                while not queue:
                    grown.clear()
                    await grown.wait()
                due, data = queue[0]
                wait = due - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                queue.popleft()
                if data is None:
                    writer.write_eof()
                    return
                # What the server gets and what the client gets are counted where they arrive: in the order of the
                # conversation.
                self.count(to_server, len(data))
                writer.write(data)
                await writer.drain()

        async def collect() -> None:
            while True:
                data = await reader.read(CHUNK)
                queue.append((max(loop.time() + self.one_way, not_before), data or None))
                grown.set()
                if not data:
                    return

        try:
            await asyncio.gather(deliver(), collect())
        except (OSError, RuntimeError):
            writer.close()

    async def run(self, client_reader, client_writer, backend) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time() + 3 * self.one_way
        await asyncio.sleep(3 * self.one_way)
        try:
            reader, writer = await asyncio.open_connection(*backend, limit=1 << 22)
        except OSError:
            client_writer.close()
            return
        for side in (client_writer, writer):
            side.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(
            self.pump(client_reader, writer, True, begun), self.pump(reader, client_writer, False, 0)
        )
        for side in (client_writer, writer):
            side.close()
        with open(self.trips_file, "a", encoding="ascii") as out:
            out.write(f"{self.turns} {self.bytes[0]} {self.bytes[1]}\n")


async def main(trips_file: str, round_trip_ms: str, *pairs: str) -> None:
    one_way = float(round_trip_ms) / 2000
    for pair in pairs:
        (address, port), backend = (end.rsplit(":", 1) for end in pair.split("="))
        backend = (backend[0], int(backend[1]))

        async def accept(reader, writer, backend=backend):
            await Link(one_way, trips_file).run(reader, writer, backend)

        await asyncio.start_server(accept, address, int(port), limit=1 << 22)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass

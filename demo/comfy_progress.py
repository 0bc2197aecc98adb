"""How far a workflow is, from ComfyUI's websocket; standard library only.

Of the websocket protocol (RFC 6455) only what a reader of short, unfragmented texts needs.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import threading
import time
import uuid
from urllib.parse import urlsplit

from comfy_setup import say

SAY_EVERY_SECONDS = 10
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Progress:
    """Listens to what a server does and says one line now and then; a context manager.

    Parameters
    ----------
    url : of the server, http://HOST:PORT. Where it has no websocket, only the time is said.
    titles : of the nodes, by their ids.
    """

    def __init__(self, url: str, titles: dict[str, str], every: float = SAY_EVERY_SECONDS):
        self.client_id = uuid.uuid4().hex
        self.url, self.titles, self.every = url, titles, every
        self.started = self.said = time.monotonic()
        self.seconds: dict[str, float] = {}  # Spent in each node, by title
        self.running: tuple[str, float, float] | None = None  # Node, done, of how many
        self.since = self.started
        self.connection: socket.socket | None = None

    def __enter__(self):
        try:
            self.connection = connect(self.url, f"/ws?clientId={self.client_id}")
        except OSError:
            return self
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *exception):
        if self.connection:
            with contextlib.suppress(OSError):  # The server may have gone first
                self.connection.shutdown(socket.SHUT_RDWR)  # Ends the thread's reading
            self.connection.close()

    def _listen(self) -> None:
        try:
            with self.connection.makefile("rb") as stream:
                for text in texts(stream, self.connection):
                    self.hear(json.loads(text))
        except (OSError, ValueError):
            return  # Progress is a convenience: the workflow goes on without

    def hear(self, message: dict) -> None:
        """Take in one message of the server."""
        if message.get("type") != "progress_state":
            return
        nodes = message["data"]["nodes"].items()
        running = next(((id, node["value"], node["max"]) for id, node in nodes if node["state"] == "running"), None)
        if (running and running[0]) != (self.running and self.running[0]):
            self._leave()
        self.running = running

    def _leave(self) -> None:
        now = time.monotonic()
        if self.running:
            title = self.title(self.running[0])
            self.seconds[title] = self.seconds.get(title, 0) + now - self.since
        self.since = now

    def title(self, node: str) -> str:
        return self.titles.get(node, node)

    def tick(self) -> None:
        """Say where the workflow is, if it is time to."""
        now = time.monotonic()
        if now - self.said >= self.every:
            self.said = now
            say(self.line(now))

    def line(self, now: float) -> str:
        elapsed = f"{clock(now - self.started)} since the start"
        running = self.running  # The thread may change it meanwhile
        if not running:
            return f"  working, {elapsed}"
        node, done, total = running
        if total <= 1:
            return f"  {self.title(node)}, {elapsed}"
        left = f", about {clock((now - self.since) * (total - done) / done)} left in this node" if done else ""
        return f"  {self.title(node)}: {done:.0f} of {total:.0f}, {elapsed}{left}"

    def summary(self) -> str:
        """Where the time went: the nodes that took longest."""
        self._leave()
        self.running = None
        longest = sorted(self.seconds.items(), key=lambda item: -item[1])[:4]
        return ", ".join(f"{title} {seconds:.1f} s" for title, seconds in longest)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def connect(url: str, path: str) -> socket.socket:
    """Open a websocket. Raises OSError where the server does not take it."""
    place = urlsplit(url)
    connection = socket.create_connection((place.hostname, place.port), timeout=10)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    try:
        connection.sendall(request.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # Byte by byte: what follows belongs to the first message
            byte = connection.recv(1)
            if not byte:
                raise OSError("the server closed the connection")
            head += byte
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise OSError("the server has no websocket here")
        connection.settimeout(None)
    except OSError:
        connection.close()
        raise
    return connection


def texts(stream, connection: socket.socket):
    """Yield the text messages of a websocket until it closes; pings are answered, pictures passed over."""
    while len(head := stream.read(2)) == 2:
        kind, length = head[0] & 0x0F, head[1] & 0x7F
        if length >= 126:
            size, code = (2, "!H") if length == 126 else (8, "!Q")
            (length,) = struct.unpack(code, stream.read(size))
        payload = stream.read(length)
        if kind == CLOSE:
            return
        if kind == PING:
            # A client masks what it sends; a mask of zeros leaves it as it is
            connection.sendall(bytes([0x80 | PONG, 0x80 | len(payload)]) + bytes(4) + payload)
        if kind == TEXT:
            yield payload.decode()

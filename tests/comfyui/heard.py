"""What the page hears from a running ComfyUI: the texts that nodes say on themselves, and their progress."""

import contextlib
import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable

from comfy_progress import connect

JSON, BINARY, CLOSE = 1, 2, 8
TEXT_EVENT = 3
PATIENCE_SECONDS = 30


class Heard:
    """Collects the texts of nodes while it is entered, lists by node id, and which nodes are in the middle.

    Progress is told only to whom a run was queued by: `client_id`.
    """

    def __init__(self, url: str):
        self.url, self.client_id = url, uuid.uuid4().hex
        self.texts: dict[str, list[str]] = {}
        self.in_the_middle: set[str] = set()

    def __enter__(self):
        self.connection = connect(self.url, f"/ws?clientId={self.client_id}")
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self.thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self.connection.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                kind, length = head[0] & 0x0F, head[1] & 0x7F
                if length >= 126:
                    size, code = (2, "!H") if length == 126 else (8, "!Q")
                    (length,) = struct.unpack(code, stream.read(size))
                payload = stream.read(length)
                if kind == CLOSE:
                    return
                if kind == JSON:
                    message = json.loads(payload)
                    nodes = message["data"]["nodes"].items() if message.get("type") == "progress_state" else ()
                    self.in_the_middle |= {id for id, node in nodes if 0 < node["value"] < node["max"]}
                if kind == BINARY and struct.unpack(">I", payload[:4]) == (TEXT_EVENT,):
                    (size,) = struct.unpack(">I", payload[4:8])
                    node, text = payload[8 : 8 + size].decode(), payload[8 + size :].decode()
                    self.texts.setdefault(node, []).append(text)

    def of(self, node: str) -> str:
        """The last text of a node; it may still be on its way when the run is over."""
        self._wait(lambda: node in self.texts)
        return self.texts.get(node, [""])[-1]

    def wait_for_progress(self, node: str) -> None:
        """Return as soon as a node is in the middle of its work."""
        assert self._wait(lambda: node in self.in_the_middle), f"{node} showed no progress"

    def _wait(self, until: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until() and time.monotonic() < deadline:
            time.sleep(0.05)
        return until()

"""A server that speaks as much of the Hugging Face hub's protocol as a download needs, and misbehaves as told."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HubServer:
    """Serves `files` (by repository and name) with their SHA-256; what a test sets beside them is done wrong.

    Attributes
    ----------
    drop_after : connections that break after so many bytes, one number for each of the next transfers.
    stall_after : bytes after which a transfer says nothing any more, until `released`.
    etag, size : told instead of the true ones. ranges : whether it goes on from a part.
    asked : (method, path, Range header) of every request. tokens : every Authorization header.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.sent: dict[str, bytes] = {}
        self.drop_after: list[int] = []
        self.stall_after: int | None = None
        self.etag = self.size = None
        self.ranges = True
        self.status = 0
        self.asked: list[tuple[str, str, str | None]] = []
        self.tokens: list[str | None] = []
        self.released, self.stalled = threading.Event(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # Another host, as the hub's own stores are: what is asked of it is asked without the token.
        self.store = f"http://localhost:{self._server.server_port}/cdn"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def add(self, file, content: bytes) -> str:
        """Serve a file of `files.published`; its SHA-256."""
        self.files[f"{file.repo}/resolve/main/{file.file}"] = content
        return hashlib.sha256(content).hexdigest()

    def _handler(hub):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                hub.asked.append(("HEAD", self.path, None))
                hub.tokens.append(self.headers.get("Authorization"))
                content = hub.files.get(self.path.lstrip("/"))
                if content is None or hub.status:
                    return self.refuse(hub.status or 404)
                self.send_response(302)
                self.send_header("Location", hub.store + self.path)
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("X-Linked-Etag", f'"{hub.etag or hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Linked-Size", str(hub.size or len(content)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                hub.asked.append(("GET", self.path, self.headers.get("Range")))
                if not self.path.startswith("/cdn/"):
                    self.send_response(302)
                    self.send_header("Location", hub.store + self.path)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                name = self.path.removeprefix("/cdn/")
                content = hub.sent.get(name, hub.files.get(name))
                begin = 0
                if hub.ranges and self.headers.get("Range"):
                    begin = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0])
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(content) - begin))
                if begin:
                    self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
                self.end_headers()
                self.transfer(content[begin:])

            def refuse(self, status):
                self.send_response(status)
                if status == 404:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def transfer(self, content):
                stop = hub.drop_after.pop(0) if hub.drop_after else None
                if hub.stall_after is not None:
                    self.wfile.write(content[: hub.stall_after])
                    self.wfile.flush()
                    hub.stalled.set()
                    hub.released.wait(60)
                    self.close_connection = True
                    return
                self.wfile.write(content[:stop])
                if stop is not None:
                    self.wfile.flush()
                    time.sleep(0.05)  # What was sent arrives before the connection breaks.
                    self.close_connection = True

        return Handler

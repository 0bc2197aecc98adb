"""A download is the published file or a sentence, and nothing is left of what failed: held against a bad server."""

import hashlib
import socket
import threading
from pathlib import Path

import pytest

from echomimic_core.files import transfer as module
from echomimic_core.files.transfer import DownloadError, Source, download
from echomimic_core.pose.bundles import BUNDLE_SOURCES

CONTENT = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Answers each connection with the same bytes, piece by piece, and closes it."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.pieces = lambda: iter(())
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    for piece in self.pieces():
                        connection.sendall(piece)
                except OSError:
                    pass  # The client has had enough

    def close(self):
        self._socket.close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def answer(content: bytes, status="200 OK", **headers) -> bytes:
    headers = {"Content-Length": len(content), **{key.replace("_", "-"): value for key, value in headers.items()}}
    lines = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in headers.items() if value is not None)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def endless():
    yield answer(b"", Content_Length=None)
    while True:
        yield bytes(65536)


def fetch(server, folder, progress=None, most=2**20) -> Path:
    return download(Source(f"http://127.0.0.1:{server.port}/file.task", DIGEST, most), folder, progress)


@pytest.mark.parametrize("chunked", (False, True))
def test_the_published_file_arrives_with_progress(tmp_path, server, chunked):
    body = b"".join(b"%x\r\n%s\r\n" % (len(CONTENT) // 4, part) for part in [CONTENT[: len(CONTENT) // 4]] * 4)
    body = answer(body + b"0\r\n\r\n", Content_Length=None, Transfer_Encoding="chunked") if chunked else answer(CONTENT)
    server.pieces = lambda: [body]
    seen = []
    source = CONTENT[: len(CONTENT) // 4] * 4 if chunked else CONTENT
    link = Source(f"http://127.0.0.1:{server.port}/file.task", hashlib.sha256(source).hexdigest(), 2**20)
    path = download(link, tmp_path / "new" / "folder", lambda *at: seen.append(at))
    assert path == tmp_path / "new" / "folder" / "file.task" and path.read_bytes() == source
    assert seen[-1][0] == len(source) and all(0 < done <= total for done, total in seen)


BAD = {
    "not found": ([answer(b"gone", "404 Not Found")], "the server answered 404 Not Found"),
    "broken": ([answer(b"", "500 Oh")], "the server answered 500 Oh"),
    "cut": ([answer(CONTENT)[:90_000]], r"ended after [\d,]+ of 512,000 bytes|IncompleteRead"),
    "shorter than it says": ([answer(CONTENT[:99], Content_Length=512_000)], "ended after 99 of 512,000|Incomplete"),
    "longer than it says": ([answer(CONTENT, Content_Length=99)], "its SHA-256 is"),
    "garbled": ([answer(CONTENT[::-1])], "the downloaded file is not the published one: its SHA-256 is"),
    "a web page": ([answer(b"<html>sign in</html>")], "the server sent a web page instead"),
    "empty": ([answer(b"")], "its SHA-256 is e3b0c442"),
    "no number": ([answer(b"", Content_Length="many")], "its SHA-256 is"),
    "negative": ([answer(b"", Content_Length="-5")], "its SHA-256 is"),
    "too much announced": ([answer(b"", Content_Length=10**12)], "announces 1,000,000,000,000 bytes"),
    "no answer": ([], "Remote end closed|reset"),
    "noise": ([bytes(range(1, 256)) * 9], "could not be downloaded"),
    "headers without end": ([b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 999], "could not be downloaded"),
    "cut chunk": ([answer(b"5\r\nab", Content_Length=None, Transfer_Encoding="chunked")], "could not be downloaded"),
    "no chunk": ([answer(b"zz\r\nab", Content_Length=None, Transfer_Encoding="chunked")], "could not be downloaded"),
    "redirected nowhere": ([answer(b"", "302 Found", Location="http://127.0.0.1:1/x")], "could not be downloaded"),
    "redirected to a file": ([answer(b"", "302 Found", Location="file:///etc/passwd")], "could not be downloaded"),
}


@pytest.mark.parametrize("kind", BAD)
def test_every_way_of_a_server_to_fail_is_a_sentence_and_leaves_nothing(tmp_path, server, kind):
    pieces, words = BAD[kind]
    server.pieces = lambda: pieces
    with pytest.raises(DownloadError, match=words) as said:
        fetch(server, tmp_path)
    assert str(said.value).startswith(f"http://127.0.0.1:{server.port}/file.task could not be downloaded (")
    assert str(said.value).endswith(f"download it in a browser and put it into {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_ends_is_left_at_the_ceiling(tmp_path, server):
    server.pieces = endless
    with pytest.raises(DownloadError, match="does not end after 1,048,576 bytes"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_next_to_nothing_is_left(tmp_path, server, monkeypatch):
    clock = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    server.pieces = lambda: [answer(CONTENT)]
    with pytest.raises(DownloadError, match="the server hardly sends any data"):
        fetch(server, tmp_path)


def test_a_server_that_is_not_there_is_a_sentence(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        link = f"http://127.0.0.1:{unused.getsockname()[1]}/file.task"
        with pytest.raises(DownloadError, match="refused"):
            download(Source(link, DIGEST, 2**20), tmp_path)


def test_a_cancel_passes_as_it_is_and_leaves_nothing(tmp_path, server):
    class Cancelled(ValueError):
        pass

    def cancel(done, total):
        raise Cancelled

    server.pieces = lambda: [answer(CONTENT)]
    with pytest.raises(Cancelled):
        fetch(server, tmp_path, cancel)
    assert list(tmp_path.iterdir()) == []


def test_the_bundles_have_pinned_addresses_hashes_and_ceilings():
    assert set(BUNDLE_SOURCES) == {"hand", "pose", "face"}
    for source in BUNDLE_SOURCES.values():
        assert source.link.startswith("https://") and "/latest/" not in source.link
        assert len(bytes.fromhex(source.sha256)) == 32 and source.most < 2**26

"""What the demo says while ComfyUI works, from messages of a websocket."""

import io
import struct
from pathlib import Path

import pytest

if not (Path(__file__).resolve().parents[3] / "demo").is_dir():
    pytest.skip("the demo is left out of this copy", allow_module_level=True)

import comfy_progress  # noqa: E402
from comfy_progress import Progress, clock, texts  # noqa: E402


def state(node: str, value: int, total: int) -> dict:
    return {"type": "progress_state", "data": {"nodes": {node: {"value": value, "max": total, "state": "running"}}}}


@pytest.fixture
def time(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(comfy_progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def progress(time) -> Progress:
    return Progress("http://127.0.0.1:1", {"8": "APDH Sampler", "9": "Decode"}, every=10)


def test_one_line_every_ten_seconds(progress, time, capsys):
    progress.hear(state("8", 0, 36))
    for second in range(1, 26):
        time[0] = 100 + second
        progress.hear(state("8", second, 36))
        progress.tick()
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines] == [
        "APDH Sampler: 10 of 36, 0:10 since the start, about 0:26 left in this node",
        "APDH Sampler: 20 of 36, 0:20 since the start, about 0:16 left in this node",
    ]


def test_a_node_that_says_no_steps_and_a_server_that_says_nothing(progress, time):
    assert progress.line(103.0) == "  working, 0:03 since the start"
    progress.hear(state("9", 0, 1))
    assert progress.line(104.0) == "  Decode, 0:04 since the start"
    assert progress.line(104.0 + 2 * 3600) == "  Decode, 2:00:04 since the start"


def test_the_summary_tells_where_the_time_went(progress, time):
    for second, node in ((101, "8"), (131, "9"), (133, "8")):
        time[0] = float(second)
        progress.hear(state(node, 0, 1))
    time[0] = 134.0
    assert progress.summary() == "APDH Sampler 31.0 s, Decode 2.0 s"


def test_without_a_websocket_the_work_goes_on(progress):
    with progress as same:
        assert same.connection is None
        same.tick()


class Connection:
    sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data


def frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = bytes([126]) + struct.pack("!H", size) if size < 65536 else bytes([127]) + struct.pack("!Q", size)
    return bytes([0x80 | kind]) + length + payload


def test_frames_of_every_length_are_read_and_pings_answered():
    messages = [b"short", b"x" * 300, b"y" * 70_000]
    stream = b"".join(frame(1, message) for message in messages) + frame(2, b"picture") + frame(9, b"hello")
    connection = Connection()
    found = list(texts(io.BytesIO(stream + frame(1, b"last") + frame(8, b"") + frame(1, b"never")), connection))
    assert [text.encode() for text in found] == [*messages, b"last"]
    assert connection.sent == b"\x8a\x85\0\0\0\0hello"


def test_a_clock_an_artist_can_read():
    assert [clock(seconds) for seconds in (0, 59.6, 3600)] == ["0:00", "1:00", "1:00:00"]

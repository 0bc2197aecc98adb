"""A cancel, and memory that has run out, pass through every reader and writer as they are, and nothing is left.

ComfyUI cancels by an exception of its own that was an `Exception` until April 2026 and is a `BaseException` since.
"""

import http.server
import pickle
import threading
from functools import partial

import numpy as np
import pytest
import torch
from poses import random_pose

from echomimic_core.files import checkpoints, durable
from echomimic_core.files.transfer import Source, download
from echomimic_core.media.video import VideoWriter, read_audio, read_frames, sound_pieces
from echomimic_core.pose import files
from echomimic_core.sampling.segments import SegmentStore, plan_segments, run_segments


class OldCancel(Exception):
    pass


class NewCancel(BaseException):
    pass


STOPS = (OldCancel, NewCancel, MemoryError, KeyboardInterrupt)


def write_film(path, pieces=1):
    sound = (np.zeros((1, 16_000), np.float32), 16_000)
    with VideoWriter(path, 24, 64, 48, sound) as writer:
        for _ in range(pieces):
            writer.write(np.zeros((3, 48, 64, 3), np.uint8))
            yield


def write_folder(folder, frames=3):
    folder.mkdir()
    record = {"hands": np.zeros((2, 21, 2)), "hands_score": np.ones((2, 21))}
    for index in range(frames):
        np.save(folder / f"{index}.npy", np.array(record, dtype=object), allow_pickle=True)
    assert pickle.dumps(record)
    return folder


def consume(items, stop):
    for _ in items:
        stop()


def sample(stop):
    def sample_segment(segment, held, progress):
        stop()
        return torch.zeros(segment.frames, 4, 8, 8)

    return sample_segment


def run_a_clip(folder, stop):
    segments = plan_segments(40, 10, 2)
    list(run_segments(segments, SegmentStore(folder / "run", "run", segments), sample(stop)))


# What each does in a folder that `ready` has made, with something that stops it midway.
WRITERS = {
    "pose as JSON": lambda folder, stop: files.save(random_pose(3), folder / "a.json", stop),
    "pose as safetensors": lambda folder, stop: files.save(random_pose(3), folder / "a.safetensors", stop),
    "weights": lambda folder, stop: checkpoints.write_tensors(folder / "w.st", {"w": torch.ones(9)}, progress=stop),
    "video": lambda folder, stop: consume(write_film(folder / "made.mp4", 2), stop),
    "bytes": lambda folder, stop: durable.write_bytes(folder / "b", (stop() for _ in range(2))),
    "segments": run_a_clip,
}
READERS = {
    "pose folder": lambda folder, stop: files.load_folder(folder / "frames", progress=stop),
    "pose as JSON": lambda folder, stop: files.load(folder / "pose.json", stop),
    "pose as safetensors": lambda folder, stop: files.load(folder / "pose.safetensors", stop),
    "frames": lambda folder, stop: consume(read_frames(folder / "film.mp4"), stop),
    "frames at a rate": lambda folder, stop: consume(read_frames(folder / "film.mp4", 10.0), stop),
    "sound": lambda folder, stop: consume(sound_pieces(folder / "film.mp4"), stop),
}


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ready")
    write_folder(folder / "frames")
    files.save(random_pose(3), folder / "pose.json")
    files.save(random_pose(3), folder / "pose.safetensors")
    list(write_film(folder / "film.mp4"))
    return folder


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("kind", WRITERS)
def test_a_writer_that_is_stopped_says_nothing_else_and_leaves_nothing(tmp_path, kind, stop):
    def stopping(*_):
        raise stop

    with pytest.raises(stop):
        WRITERS[kind](tmp_path, stopping)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] in ([], ["plan.json"])


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("kind", READERS)
def test_a_reader_that_is_stopped_says_nothing_else(ready, kind, stop):
    def stopping(*_):
        raise stop

    with pytest.raises(stop):
        READERS[kind](ready, stopping)


@pytest.mark.parametrize("stop", STOPS)
def test_a_download_that_is_stopped_says_nothing_else_and_leaves_nothing(ready, tmp_path, stop):
    def stopping(*_):
        raise stop

    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(ready))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(stop):
            download(Source(f"http://127.0.0.1:{server.server_port}/pose.json", "", 2**20), tmp_path, stopping)
        server.shutdown()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", (lambda path: list(read_frames(path)), read_audio))
def test_memory_that_runs_out_in_a_decoder_is_not_called_damage(ready, monkeypatch, read):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np, "ascontiguousarray", full)
    monkeypatch.setattr("echomimic_core.media.video.upright", full)
    with pytest.raises(MemoryError):
        read(ready / "film.mp4")


def test_memory_that_runs_out_while_a_frame_of_a_pose_is_read_is_not_called_damage(ready, monkeypatch):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("echomimic_core.pose.unpickle.np.frombuffer", full)
    with pytest.raises(MemoryError):
        files.load_folder(ready / "frames")

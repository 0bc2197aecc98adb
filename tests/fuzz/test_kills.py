"""A process that is killed in the middle of its work leaves a whole file or none, and the next one goes on."""

import hashlib
import http.server
import signal
import subprocess
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.files import durable
from echomimic_core.files.tensor_file import TensorFile
from echomimic_core.files.transfer import Source, download
from echomimic_core.pose import HandPose, files

if sys.platform == "win32":
    pytest.skip("kills by a signal", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 4000

# Each report of progress is a moment at which the process may die.
PRELUDE = """
    import os, signal, sys
    from pathlib import Path
    folder, moment = Path(sys.argv[1]), int(sys.argv[2])
    def progress(*_, seen=[]):
        seen.append(0)
        if len(seen) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
"""
WORK = {
    "json": """
        import numpy as np
        from echomimic_core.pose import HandPose, files
        pose = HandPose(np.full((2000, 2, 21, 2), 0.5), np.ones((2000, 2, 21)))
        files.save(pose, folder / "a.json", progress)
    """,
    "weights": """
        import torch
        from echomimic_core.files.checkpoints import write_tensors
        weights = {f"w{n}": torch.full((5000,), float(n)) for n in range(8)}
        write_tensors(folder / "a.safetensors", weights, {}, progress)
    """,
    "bytes": """
        from echomimic_core.files.durable import write_bytes
        write_bytes(folder / "a.bin", (progress() or bytes([n]) * 70_000 for n in range(6)))
    """,
    "segments": """
        import torch
        from echomimic_core.sampling.segments import SegmentStore, plan_segments, run_segments
        segments = plan_segments(40, 10, 2)
        def sample(segment, held, report):
            report(1, 2)
            start = held.latents.sum() if held is not None else 0.0
            return torch.full((segment.frames, 4, 8, 8), float(segment.index)) + start
        store = SegmentStore(folder / "run", "run", segments)
        torch.save([latents for _, latents in run_segments(segments, store, sample, progress)], folder / "made.pt")
    """,
    "download": """
        from echomimic_core.files.transfer import Source, download
        download(Source(sys.argv[3], sys.argv[4], 2**22), folder, progress)
    """,
}


def work(kind: str, folder: Path, moment: int, *more: str) -> int:
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(WORK[kind])
    command = [sys.executable, "-c", code, str(folder), str(moment), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


@pytest.mark.parametrize("moment", (1, 3))
@pytest.mark.parametrize("kind", ("json", "weights", "bytes"))
def test_a_killed_writer_leaves_the_old_file_and_the_next_one_cleans_up(tmp_path, kind, moment):
    name = {"json": "a.json", "weights": "a.safetensors", "bytes": "a.bin"}[kind]
    if kind != "json":
        durable.write_text(tmp_path / name, "old")
    assert work(kind, tmp_path, moment) == -signal.SIGKILL
    if kind == "json":
        assert not (tmp_path / name).exists(), "a pose is there whole or not at all"
    else:
        assert (tmp_path / name).read_text() == "old"
    assert len(left(tmp_path)) == (1 if kind == "json" else 2), "the half file is still there"
    assert work(kind, tmp_path, 0) == 0
    assert left(tmp_path) == [name]


def test_what_was_written_after_a_kill_is_whole(tmp_path):
    for kind in ("json", "weights", "bytes"):
        work(kind, tmp_path, 2)
        assert work(kind, tmp_path, 0) == 0
    assert len(files.load(tmp_path / "a.json")) == 2000
    assert TensorFile(tmp_path / "a.safetensors").tensor("w7").sum() == 35_000
    assert len((tmp_path / "a.bin").read_bytes()) == 420_000


def test_a_run_killed_again_and_again_ends_as_one_that_was_not(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    assert work("segments", whole, 0) == 0
    assert work("segments", killed, 2) == -signal.SIGKILL
    assert len(list((killed / "run").glob("segment_*.safetensors"))) == 1
    assert work("segments", killed, 2) == -signal.SIGKILL
    assert work("segments", killed, 0) == 0
    assert (killed / "made.pt").read_bytes() == (whole / "made.pt").read_bytes()
    assert left(killed / "run") == left(whole / "run")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.task").write_bytes(CONTENT)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/a.task"
        server.shutdown()


@pytest.mark.parametrize("moment", (1, 2))
def test_a_killed_download_leaves_no_model_and_the_next_one_cleans_up(tmp_path, server, moment):
    folder, digest = tmp_path / "models", hashlib.sha256(CONTENT).hexdigest()
    folder.mkdir()
    assert work("download", folder, moment, server, digest) == -signal.SIGKILL
    assert not (folder / "a.task").exists() and len(left(folder)) == 1
    download(Source(server, digest, 2**22), folder)
    assert left(folder) == ["a.task"] and (folder / "a.task").read_bytes() == CONTENT


def test_a_pose_that_a_killed_process_left_is_not_offered(tmp_path):
    """Half files begin with a dot, as what no list of poses and no folder of frames shows."""
    assert work("json", tmp_path, 1) == -signal.SIGKILL
    assert all(name.startswith(".") for name in left(tmp_path))
    pose = HandPose(np.zeros((1, 2, 21, 2)), np.ones((1, 2, 21)))
    assert files.save(pose, tmp_path / "a.json").name == "a.json"

"""Files are there whole or not at all, whoever writes at once, whatever the disk says, and wherever they are read."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from poses import assert_same, random_pose

from echomimic_core.files import durable
from echomimic_core.pose import files

ROOT = Path(__file__).parents[3]


def run(code: str, *arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    for text in ("one", "two"):
        assert durable.write_text(tmp_path / "a.txt", text) == tmp_path / "a.txt"
        assert (tmp_path / "a.txt").read_text() == text
    assert json.loads(durable.write_json(tmp_path / "a.json", {"a": [1, "ä"]}).read_text("utf-8")) == {"a": [1, "ä"]}
    assert names(tmp_path) == ["a.json", "a.txt"]


def test_a_writer_that_stops_leaves_the_old_file_and_nothing_else(tmp_path):
    durable.write_text(tmp_path / "a.txt", "old")
    for stop in (KeyboardInterrupt, InterruptedError, MemoryError):
        with pytest.raises(stop), durable.Draft(tmp_path / "a.txt") as draft:
            draft.open().write(b"half")
            raise stop
    assert (tmp_path / "a.txt").read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_cancel_passes_as_it_is_even_if_it_is_an_exception(tmp_path):
    class Cancelled(Exception):
        pass

    pose = random_pose(3)

    def cancel(done, total):
        raise Cancelled

    for name in ("a.json", "a.safetensors"):
        with pytest.raises(Cancelled):
            files.save(pose, tmp_path / name, cancel)
        assert names(tmp_path) == []
        path = files.save(pose, tmp_path / name)
        with pytest.raises(Cancelled):
            files.load(path, cancel)
        path.unlink()


def test_an_error_of_another_file_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), durable.Draft(tmp_path / "a.txt"):
        (tmp_path / "what_is_read").read_bytes()


def test_nothing_is_overwritten_and_the_next_name_is_taken(tmp_path):
    numbered = [tmp_path / f"a_{n}.txt" for n in range(3)]
    durable.write_bytes(numbered[0], b"x")
    for expected in numbered[1:]:
        with durable.Draft(numbered[0], replace=False, others=numbered[1:]) as draft:
            draft.open().write(b"y")
        assert draft.path == expected
    with pytest.raises(FileExistsError, match="a_0.txt already exists and is not overwritten"):
        durable.write_bytes(numbered[0], b"y", replace=False)
    assert numbered[0].read_bytes() == b"x" and len(names(tmp_path)) == 3


def test_where_links_are_unknown_nothing_is_overwritten_either(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "no links on this disk")

    monkeypatch.setattr(durable.os, "link", refuse)
    durable.write_bytes(tmp_path / "a", b"1", replace=False)
    with pytest.raises(FileExistsError):
        durable.write_bytes(tmp_path / "a", b"2", replace=False)
    assert (tmp_path / "a").read_bytes() == b"1" and names(tmp_path) == ["a"]


BAD_NAMES = ["", ".", "..", *(f"a{letter}b" for letter in '\0\n:"?|*<'), "a.", "a ", "nul", "COM1.txt", "Aux.a.b"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "x" * 256, "ä" * 200, "\ud800"])
def test_names_that_some_system_cannot_hold_are_refused_everywhere(name):
    with pytest.raises(ValueError, match="is not a file name: .*Use letters"):
        durable.check_name(name)


@pytest.mark.parametrize("name", ["a.txt", "clip_00001.json", "com.txt", "console", "ä ö.json", "说话.mp4", "a" * 255])
def test_usual_file_names_are_accepted(name):
    durable.check_name(name)


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EFBIG, "the disk is full"),
        (errno.EROFS, "is read-only"),
        (errno.EACCES, "is read-only"),
        (errno.ENAMETOOLONG, "its name is too long"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_what_the_disk_says_is_a_sentence(tmp_path, monkeypatch, number, words):
    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable.os, "fsync", refuse)
    with pytest.raises(durable.WriteError, match=f"a.txt could not be written.*{words}"):
        durable.write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []


def test_a_missing_folder_and_a_file_in_its_place_are_sentences(tmp_path):
    with pytest.raises(durable.WriteError, match=r"there is no folder .*nowhere. Create it"):
        durable.write_text(tmp_path / "nowhere" / "a.txt", "")
    durable.write_text(tmp_path / "file", "")
    with pytest.raises(durable.WriteError, match="a file is where a folder should be"):
        durable.make_folder(tmp_path / "file" / "deeper")
    (tmp_path / "folder").mkdir()
    with pytest.raises(durable.WriteError, match="folder could not be written"):
        durable.write_text(tmp_path / "folder", "")
    assert names(tmp_path) == ["file", "folder"]


FULL = """
    import resource, signal, sys
    from pathlib import Path
    import numpy as np, torch
    from echomimic_core.files.durable import WriteError, write_bytes
    from echomimic_core.pose import HandPose, files
    from echomimic_core.files.checkpoints import write_tensors
    from echomimic_core.media.video import VideoWriter
    from echomimic_core.sampling.segments import SegmentStore, plan_segments
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    pose = HandPose(np.full((500, 2, 21, 2), 0.123456789), np.ones((500, 2, 21)))
    segments = plan_segments(40, 20, 4)
    store = SegmentStore(folder / "segments", "run", segments)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    def film():
        with VideoWriter(folder / "a.mp4", 24, 256, 256) as writer:
            for index in range(40):
                writer.write(np.random.default_rng(index).integers(0, 255, (1, 256, 256, 3), np.uint8))
    try:
        {
            "bytes": lambda: write_bytes(folder / "a.bin", bytes(100_000)),
            "json": lambda: files.save(pose, folder / "a.json"),
            "safetensors": lambda: files.save(pose, folder / "a.safetensors"),
            "weights": lambda: write_tensors(folder / "a.safetensors", {"w": torch.zeros(50_000)}),
            "video": film,
            "segment": lambda: store.save(segments[1], torch.zeros(16, 4, 32, 32)),
        }[kind]()
    except WriteError as error:
        print(error)
    else:
        print("nothing was said")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of the size of files stands for a full disk")
@pytest.mark.parametrize("kind", ["bytes", "json", "safetensors", "weights", "video", "segment"])
def test_a_full_disk_is_a_sentence_of_every_writer_and_leaves_nothing(tmp_path, kind):
    done = run(FULL, tmp_path, kind)
    assert "could not be written: the disk is full. Free some space" in done.stdout, done.stdout + done.stderr
    if kind == "segment":
        assert "The finished segments (1 of" in done.stdout and "queue the same graph again" in done.stdout
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["plan.json"]


KILLED = """
    import os, signal, sys
    from echomimic_core.files.durable import Draft
    draft = Draft(sys.argv[1])
    draft.open().write(b"half")
    draft._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    assert run(KILLED, tmp_path / "a.bin").returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(durable.PREFIX)
    durable.write_text(tmp_path / "b.txt", "x")
    assert names(tmp_path) == ["b.txt"]


def test_the_sweep_leaves_what_is_being_written_and_what_is_not_ours(tmp_path):
    (tmp_path / ".echomimic-notes.part").touch()
    elsewhere = tmp_path / f"{durable.PREFIX}00000000-1-00000000{durable.SUFFIX}"
    elsewhere.touch()
    with durable.Draft(tmp_path / "a") as draft:
        draft.open().write(b"x")
        durable.sweep(tmp_path)
        assert draft.part.exists() and elsewhere.exists()
        os.utime(elsewhere, (0, 0))
        durable.sweep(tmp_path)
        assert not elsewhere.exists()
    assert names(tmp_path) == [".echomimic-notes.part", "a"]


TWO = """
    import sys
    import numpy as np, torch
    from pathlib import Path
    from itertools import count
    from echomimic_core.pose import HandPose, files
    from echomimic_core.sampling.segments import SegmentStore, plan_segments, run_segments
    folder = Path(sys.argv[1])
    pose = HandPose(np.zeros((3, 2, 21, 2)), np.ones((3, 2, 21)))
    for _ in range(20):
        paths = (folder / f"pose_{n:05}.json" for n in count(1))
        print(files.save(pose, next(paths), others=paths).name)
    segments = plan_segments(60, 10, 2)
    store = SegmentStore(folder / "segments", "run", segments)
    sample = lambda segment, held, progress: torch.full((segment.frames, 4, 8, 8), float(segment.index))
    assert sum(len(latents) for _, latents in run_segments(segments, store, sample)) == 60
"""


def test_two_processes_on_one_folder_both_finish(tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(TWO), str(tmp_path)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(outputs[0] + outputs[1]) == [f"pose_{n:05}.json" for n in range(1, 41)]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_points_that_are_no_numbers_are_saved_as_absent(tmp_path):
    pose = random_pose(3)
    pose.hands[1, 0, 5] = np.nan
    for name in ("a.json", "a.safetensors"):
        loaded = files.load(files.save(pose, tmp_path / name))
        assert loaded.hand_scores[1, 0, 5] == 0 and (loaded.hands[1, 0, 5] == 0).all()
        np.testing.assert_array_equal(loaded.hands[2], pose.hands[2])


ELSEWHERE = """
    import builtins, os, sys
    from pathlib import Path
    GONE = {"fcntl", "resource", "pwd", "grp", "termios", "posix", "_posixsubprocess"}
    real = builtins.__import__
    folder = Path(sys.argv[1])
    import numpy as np, torch, av, safetensors.torch, psutil  # what is not ours may use them
    def guarded(name, globals=None, *rest, **more):
        if name.partition(".")[0] in GONE and (globals or {}).get("__name__", "").startswith("echomimic_core"):
            raise ImportError(name)
        return real(name, globals, *rest, **more)
    builtins.__import__ = guarded
    for name in ("fork", "O_DIRECTORY"):
        if hasattr(os, name):
            delattr(os, name)
    fsync, opened = os.fsync, os.open
    def no_folders(descriptor):
        assert not os.path.isdir(f"/proc/self/fd/{descriptor}"), "a folder was brought to the disk"
        return fsync(descriptor)
    os.fsync = no_folders
    from echomimic_core.pose import HandPose, files
    from echomimic_core.files.checkpoints import TensorFile, write_tensors
    from echomimic_core.media.video import VideoWriter, read_audio, read_frames
    from echomimic_core.sampling.segments import SegmentStore, plan_segments
    pose = HandPose(np.zeros((3, 2, 21, 2)), np.ones((3, 2, 21)))
    for name in ("a.json", "a.safetensors"):
        assert len(files.load(files.save(pose, folder / name))) == 3
    write_tensors(folder / "w.safetensors", {"w": torch.ones(3)})
    torch.save({"w": torch.ones(3)}, folder / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        assert TensorFile(folder / name).tensor("w").sum() == 3
    with VideoWriter(folder / "a.mp4", 24, 64, 64, (np.zeros((1, 16000), np.float32), 16000)) as writer:
        writer.write(np.zeros((2, 64, 64, 3), np.uint8))
    assert len(list(read_frames(folder / "a.mp4"))) == 2 and read_audio(folder / "a.mp4")[1] == 16000
    segments = plan_segments(20, 10, 2)
    store = SegmentStore(folder / "s", "run", segments)
    store.save(segments[0], torch.zeros(10, 4, 8, 8))
    assert store.load(segments[0]).shape[0] == 10
    print("all well")
"""


def test_readers_and_writers_need_nothing_of_one_system_only(tmp_path):
    done = run(ELSEWHERE, tmp_path)
    assert done.stdout.strip() == "all well", done.stderr


def test_a_long_pose_is_saved_and_loaded_exactly_with_progress(tmp_path):
    pose = random_pose(24 * 60)
    for name in ("a.json", "a.safetensors"):
        seen = {"save": [], "load": []}
        path = files.save(pose, tmp_path / name, lambda *at, seen=seen: seen["save"].append(at))
        loaded = files.load(path, lambda *at, seen=seen: seen["load"].append(at))
        assert_same(loaded, pose)
        for reports in seen.values():
            assert len(reports) >= 6 and reports[-1][0] <= reports[-1][1]
            assert [done for done, _ in reports] == sorted(done for done, _ in reports)

"""Every file that once broke the pack opens or is one sentence of ours, in a process of its own with limits."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = ROOT.parent / "shared" / "cases"
KINDS = ("pose_folders", "pose_files", "media")
FILES = sorted(path for kind in KINDS for path in (CASES / kind).glob("*"))
# What has to be opened, and what has to be seen then.
OPENED = {
    "frame_with_nobody": "2 frames, hands in 1",
    "mac_dot_files": "2 frames, hands in 2",
    "hflip.mp4": "red right above",
}

OPEN = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
import numpy as np
from echomimic_core.pose import draw, files
from echomimic_core.media.video import read_audio, read_frames
path = Path(sys.argv[1])
try:
    if path.suffix in (".json", ".safetensors") or path.is_dir():
        pose = files.load_folder(path) if path.is_dir() else files.load(path)
        seen = (pose.hand_scores > 0).any(axis=(1, 2))
        draw.draw_maps(pose, [0], pose.height, pose.width)
        print(f"opened: {len(pose)} frames, hands in {seen.sum()}")
    elif path.suffix == ".flac":
        print(f"opened: {read_audio(path)[0].shape}")
    else:
        pictures = [picture for _, picture in read_frames(path)]
        red = np.argwhere((pictures[0][..., 0] > 150) & (pictures[0][..., 1:] < 90).all(-1))
        where = red.mean(axis=0) / pictures[0].shape[:2] if len(red) else (1, 0)
        print("opened: red", "right" if where[1] > 0.5 else "left", "above" if where[0] < 0.5 else "below")
except ValueError as error:
    assert str(error).count("\\n") == 0, error
    assert path.name in str(error) and "Error" not in str(error).replace("Error number", ""), error
    print("said:", error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20, "more than 2 GB"
"""


@pytest.mark.skipif(not FILES, reason="no ../shared/cases beside this checkout")
@pytest.mark.skipif(sys.platform == "win32", reason="limits are set through the resource module")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_that_once_failed_opens_or_is_one_sentence(path):
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("opened: ", "said: "))
    if path.name in OPENED:
        assert done.stdout == f"opened: {OPENED[path.name]}\n"

"""Every file that once broke the pack opens or is one sentence of ours, in a process of its own with limits."""

import sys
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.media.video import read_frames
from echomimic_core.pose import files
from tests.fuzz.readers import READERS

if sys.platform == "win32":
    pytest.skip("children with limits need a system that forks", allow_module_level=True)

from tests.fuzz.child import Opener, failure

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
FILES = sorted(path for kind in ("pose_folders", "pose_files", "media") for path in (CASES / kind).glob("*"))
KINDS = {".json": "json", ".safetensors": "pose_safetensors", ".flac": "sound", ".mp4": "video"}

pytestmark = pytest.mark.skipif(not FILES, reason="no ../shared/cases beside this checkout")


@pytest.fixture(scope="module")
def opener():
    with Opener() as opener:
        yield opener


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_that_once_failed_opens_or_is_one_sentence(opener, path):
    kind = KINDS.get(path.suffix, "pickle")
    assert kind in READERS
    found = opener.open(kind, sorted(path.glob("[0-9]*.npy"))[0] if path.is_dir() else path)
    assert failure(found) is None, found
    assert found["grown"] < 400 * 2**20


def test_a_frame_with_nobody_has_absent_hands():
    pose = files.load_folder(CASES / "pose_folders" / "frame_with_nobody")
    assert (pose.hand_scores > 0).any(axis=(1, 2)).tolist() == [True, False] and pose.bodies is not None


def test_files_of_macos_beside_the_frames_are_not_seen():
    assert len(files.load_folder(CASES / "pose_folders" / "mac_dot_files")) == 2


def test_a_mirror_in_the_display_matrix_is_no_turn():
    _, picture = next(read_frames(CASES / "media" / "hflip.mp4"))
    red = np.argwhere((picture[..., 0] > 150) & (picture[..., 1:] < 90).all(-1)).mean(axis=0)
    assert red[0] < 0.5 * picture.shape[0] and red[1] > 0.5 * picture.shape[1]


def test_a_person_with_a_mirrored_note_stands_upright():
    picture = next(read_frames(CASES / "media" / "person_mirrored_note.mp4"))[1].mean(-1)
    hair, shirt = picture[30:50, 245:265], picture[380:420, 240:280]
    assert hair.mean() < 60 and shirt.mean() > 200

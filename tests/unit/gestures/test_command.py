"""Hands for a voice from a terminal: pose and timeline are written, wrong arguments are one sentence."""

import numpy as np
import pytest
from PIL import Image

from echomimic_core.gestures.__main__ import main
from echomimic_core.gestures.files import save_library
from echomimic_core.gestures.library import built_in
from echomimic_core.media.video import VideoWriter
from echomimic_core.pose import files, gestures

from .test_gestures import voice


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A video whose sound is a voice of 4 s."""
    path = tmp_path_factory.mktemp("voice") / "voice.mp4"
    with VideoWriter(path, 24, 32, 32, (voice(4, (2, 2.2)).numpy(), 16_000)) as video:
        video.write(np.zeros((96, 32, 32, 3), np.uint8))
    return path


def test_pose_and_timeline_are_written(sound, tmp_path, capsys):
    out, line = tmp_path / "pose.json", tmp_path / "line.png"
    assert main([str(sound), "--out", str(out), "--timeline", str(line), "--frames", "96"]) == 0
    assert len(files.load(out)) == 96 and Image.open(line).size == (1280, 240)
    assert "accents" in capsys.readouterr().out


def test_a_folder_of_poses_is_moved_like(sound, tmp_path, capsys):
    folder = tmp_path / "talks"
    folder.mkdir()
    files.save(gestures.clip("explaining", 200), folder / "talk.json")
    (folder / "notes.json").write_text("{}")
    (folder / "broken.mp4").write_bytes(b"nothing")
    assert main([str(sound), "--out", str(tmp_path / "p.json"), "--gestures", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "talk, " in said and "notes.json is left out" in said and "broken.mp4 is left out" in said


def test_a_library_brings_its_own_frame_rate(sound, tmp_path):
    library = save_library(built_in(12.0), tmp_path / "g.safetensors")
    assert main([str(sound), "--out", str(tmp_path / "p.json"), "--gestures", str(library)]) == 0
    assert files.load(tmp_path / "p.json").fps == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--energy", "9"], "energy"),
        (["--gestures", "nowhere"], "nowhere"),
        (["--out", "pose.txt"], "pose.txt"),
        (["--timeline", "line.gif"], "line.gif"),
        (["--frames", "-3"], "-3"),
    ],
)
def test_wrong_arguments_are_a_sentence(sound, tmp_path, capsys, arguments, said):
    assert main([str(sound), "--out", str(tmp_path / "p.json"), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_missing_voice_is_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "no.wav"), "--out", str(tmp_path / "p.json")]) == 2
    assert "no.wav" in capsys.readouterr().err

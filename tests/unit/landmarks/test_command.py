"""The command: a picture or video in, a pose file, a report and an overlay out."""

import numpy as np
import pytest

from echomimic_core.landmarks.__main__ import main
from echomimic_core.media.video import VideoWriter, read_frames
from echomimic_core.pose.files import load


@pytest.fixture(scope="module")
def video(samples, tmp_path_factory):
    from PIL import Image

    picture = np.asarray(Image.open(samples / "reference" / "0222.png").convert("RGB").resize((384, 384)))
    path = tmp_path_factory.mktemp("command") / "still.mp4"
    with VideoWriter(path, 24, 384, 384) as writer:
        writer.write(np.repeat(picture[None], 6, axis=0))
    return path


@pytest.mark.parametrize("track", [False, True])
def test_a_video_becomes_a_pose_with_a_report(video, tmp_path, capsys, track):
    out, overlay = tmp_path / "pose.json", tmp_path / "overlay.mp4"
    assert main([str(video), "--out", str(out), "--overlay", str(overlay), *(["--track"] if track else [])]) == 0
    pose = load(out)
    assert len(pose) == 6 and (pose.hand_scores > 0).all()
    assert "100" in capsys.readouterr().out
    drawn = [picture for _, picture in read_frames(overlay)]
    assert len(drawn) == 6 and drawn[0].shape == (384, 384, 3)


def test_a_picture_is_a_clip_of_one_frame(samples, tmp_path):
    out = tmp_path / "pose.json"
    assert main([str(samples / "reference" / "0222.png"), "--out", str(out)]) == 0
    assert len(load(out)) == 1


def test_what_is_wrong_is_said_in_a_sentence(tmp_path, capsys):
    assert main([str(tmp_path / "none.mp4"), "--out", str(tmp_path / "a.json")]) == 2
    assert "there is no file" in capsys.readouterr().err
    (tmp_path / "a.png").write_bytes(b"not a picture")
    assert main([str(tmp_path / "a.png"), "--out", str(tmp_path / "a.json")]) == 2
    package = ["--detector", "mediapipe", "--models", str(tmp_path)]
    assert main([str(tmp_path / "a.png"), "--out", str(tmp_path / "a.json"), *package]) == 2
    assert "has no hand_landmarker bundle" in capsys.readouterr().err


def test_a_picture_without_hands_is_told_by_the_exit_code(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    assert main([str(tmp_path / "black.png"), "--out", str(tmp_path / "a.json")]) == 1

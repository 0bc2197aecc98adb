"""From videos to clips: what is kept, and what is rejected and why."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
import training_clips as clips

from echomimic_core.config import AUDIO_SAMPLE_RATE, FPS
from echomimic_core.media.video import VideoWriter
from echomimic_core.pose.detect import Detections
from echomimic_core.training.data.prepare import Tools, main, prepare
from echomimic_core.training.data.selection import Rules, Video, choose_pieces, piece_picture, piece_pose
from echomimic_core.training.data.shards import HEADSHOT, read_manifest

FRAMES = 72


def detections(pose, size=256):
    return Detections(
        np.arange(len(pose)) / FPS,
        pose.hands.copy(),
        pose.hand_scores.copy(),
        pose.bodies.copy(),
        pose.body_scores.copy(),
        pose.faces.copy(),
        pose.face_scores.copy(),
        size,
        size,
    )


def video(frames=FRAMES, loud=0.2):
    found = detections(clips.make_pose(np.full(frames, 0.5)))
    sound = loud * np.sin(np.arange(round(frames / FPS * AUDIO_SAMPLE_RATE)) * 0.3)
    return Video(found, np.full(frames, 1), np.full(frames, 0.01), sound)


def reasons(seen, rules=Rules()):  # noqa: B008 (frozen)
    return [rejection.reason for rejection in choose_pieces(seen, rules)[1]]


def test_a_good_video_is_one_clip_framed_by_the_rule():
    pieces, rejected = choose_pieces(video(), Rules())
    assert not rejected and [(p.start, p.stop, p.kind) for p in pieces] == [(0, FRAMES, "semi-body")]
    assert pieces[0].framing is not None


def test_long_shots_are_divided_on_the_grid_of_audio_positions():
    pieces, _ = choose_pieces(video(24 * 25), Rules(max_seconds=10))
    assert len(pieces) == 3 and all(piece.start % 12 == 0 for piece in pieces)
    assert pieces[-1].stop == 24 * 25
    assert all(a.stop == b.start for a, b in zip(pieces, pieces[1:], strict=False))


def test_a_clip_whose_face_is_often_lost_is_dropped():
    seen = video()
    seen.found.face_scores[:20] = 0
    assert "a face is found in 72% of the frames" in reasons(seen)[0]


def test_a_clip_of_two_people_is_dropped():
    seen = video()
    seen.people[36] = 2
    assert reasons(seen) == ["2 people are in the picture, but one is needed"]


def test_a_silent_clip_is_dropped():
    assert reasons(video(loud=0.001))[0].startswith("silence: the loudest moment is at -63 dB")
    assert reasons(video(loud=0.0))[0].startswith("silence: the loudest moment is at -inf dB")


def test_a_cut_divides_and_leaves_too_short_a_piece():
    seen = video()
    seen.change[20] = 0.4
    pieces, rejected = choose_pieces(seen, Rules())
    assert [(p.start, p.stop) for p in pieces] == [(24, FRAMES)]
    assert [r.reason for r in rejected] == ["only 0.8 s between cuts, 2 s are needed"]


def test_a_fast_gesture_is_no_cut():
    seen = video()
    seen.change[15:30] = 0.3
    assert len(choose_pieces(seen, Rules())[0]) == 1


def test_a_clip_of_small_hands_is_dropped():
    seen = video()
    wrists = seen.found.hands[:, :, :1]
    seen.found.hands[:] = wrists + (seen.found.hands - wrists) * 0.2
    assert "small hands" in reasons(seen)[0]


def test_a_clip_of_hidden_hands_is_dropped():
    seen = video()
    seen.found.hand_scores[:] = 0
    assert "hands are found in 0% of the frames" in reasons(seen)[0]


def test_a_video_without_arms_is_a_headshot():
    seen = video()
    seen.found.body_scores[:, 2:8] = 0
    pieces, _ = choose_pieces(seen, Rules(min_face=20))
    assert [piece.kind for piece in pieces] == [HEADSHOT]
    left, top, side = pieces[0].square
    assert min(left, top) >= 0 and max(left, top) + side <= 256
    assert "small face" in reasons(seen, Rules(min_face=200))[0]


def fake_detect(frames):
    count = sum(1 for _ in frames)
    return detections(clips.make_pose(np.full(count, 0.5)))


def fake_encode(sound):
    return np.zeros((len(sound) // 320, 5, 384), np.float32) + np.arange(len(sound) // 320)[:, None, None]


def one_person(picture):
    return 1


def make_tools(counter=None):
    """Tools that find the drawn person; every process that asks for them leaves a mark."""
    if counter is not None:
        with open(counter, "a") as file:
            file.write("x")
    return Tools(fake_detect, one_person, fake_encode)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder with a good video, a damaged one, and one without sound."""
    folder = tmp_path_factory.mktemp("films")
    rate = AUDIO_SAMPLE_RATE
    sound = 0.3 * np.sin(np.arange(rate * FRAMES // 24) * 0.2, dtype=np.float32)[None]
    picture = clips.draw(0.5, 0.5, (40, 90, 140), 256)[None].repeat(FRAMES, 0)
    with VideoWriter(folder / "good.mp4", 24, 256, 256, (sound, rate)) as writer:
        writer.write(picture)
    with VideoWriter(folder / "mute.mp4", 24, 256, 256) as writer:
        writer.write(picture[:30])
    (folder / "broken.mp4").write_bytes(b"this is no video")
    (folder / "notes.txt").write_text("not a video either")
    return folder


def test_videos_become_clips_in_processes_and_only_once(films, tmp_path, by_name):
    from pathlib import Path

    marks = tmp_path / "marks"
    tools = partial(by_name.make_tools, str(marks))
    out = tmp_path / "clips"
    report = prepare(films, out, tools, size=128, workers=2)
    assert (report["videos"], report["clips"], report["kinds"]) == (3, 1, {"semi-body": 1})
    why = {Path(entry["video"]).name: entry["reason"] for entry in report["rejected"]}
    assert "mute.mp4 has no audio" in why["mute.mp4"]
    assert "broken.mp4 cannot be read" in why["broken.mp4"]
    assert json.loads((out / "report.json").read_text()) == report

    clip = read_manifest(out)[0]
    assert (len(clip), clip.info.size, clip.info.source) == (FRAMES, 128, "good.mp4")
    assert clip.frames([0, 71]).shape == (2, 128, 128, 3)
    assert clip.audio().shape[0] >= FRAMES / 24 * 50 - 1 and clip.audio()[7].max() == 7
    assert abs(len(clip.sound()) - FRAMES / 24 * AUDIO_SAMPLE_RATE) < 10
    assert clip.pose().faces.shape == (FRAMES, 68, 2)

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    started = marks.read_text()
    assert prepare(films, out, tools, size=128, workers=2) == report
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    assert marks.read_text() == started
    # A shard that is gone is made again, alone
    next(iter(before)).unlink()
    assert prepare(films, out, tools, size=128, workers=1) == report


def test_prepared_pictures_and_points_agree(films, tmp_path):
    """The drawn hand is a light disc at a known place; in the clip its pixels and its keypoints must meet."""
    from echomimic_core.training.data.prepare import prepare_video

    result = prepare_video(films / "good.mp4", "good", tmp_path, make_tools(), Rules(), 128)
    assert result["estimated_faces"] == 0.0
    from echomimic_core.training.data.shards import write_manifest

    write_manifest(tmp_path, [clips.ClipInfo(**clip) for clip in result["clips"]])
    clip = read_manifest(tmp_path)[0]
    frame = clip.frames([10])[0].astype(int)
    rows, columns = np.nonzero((frame > (235, 215, 185)).all(-1))
    hand = clip.pose().hands[10, 0].mean(0) * 128
    assert abs(columns.mean() - hand[0]) < 3
    lips = clip.pose().faces[10, 48:].mean(0) * 128
    dark = np.argwhere((np.abs(frame - (60, 0, 20)) < 40).all(-1)).mean(0)
    assert np.abs(dark[::-1] - lips).max() < 4


LANDSCAPE, SQUARE, PORTRAIT = (192, 128), (128, 128), (96, 128)


def framed_in(width, buckets, size=128):
    """The piece of a video of 256 rows and some columns, whose person stands in the middle of it."""
    seen = video()
    seen.found.width = width
    return choose_pieces(seen, Rules(buckets=buckets), size)[0][0]


@pytest.mark.parametrize("width, bucket", [(480, LANDSCAPE), (300, None), (200, PORTRAIT), (120, None)])
def test_a_clip_gets_the_widest_bucket_that_its_picture_fills(width, bucket):
    piece = framed_in(width, (LANDSCAPE, PORTRAIT))
    assert piece.bucket == bucket and (piece.framing is None) == (bucket is not None)
    if bucket:
        left, top, wide, high = piece.box
        assert wide / high == pytest.approx(bucket[0] / bucket[1], rel=0.01) and left >= 0 and left + wide <= width
        square = framed_in(width, ()).framing
        assert (top, top + high - 1) == square.video_params[:2]


def test_a_clip_of_a_bucket_has_its_frames_and_its_pose_over_them():
    piece = framed_in(480, (LANDSCAPE,))
    left, top, wide, high = piece.box
    assert left + wide / 2 == pytest.approx(240, abs=1)  # Where its neck is
    picture = np.zeros((256, 480, 3), np.uint8)
    picture[top + high // 4 : top + high // 4 + 6, left + wide // 2 - 3 : left + wide // 2 + 3] = 255
    frame = piece_picture(picture, piece, 128)
    assert frame.shape == (128, 192, 3)
    rows, columns = np.nonzero(frame[..., 0] > 128)
    pose = clips.make_pose(np.full(1, 0.5))
    pose = dataclasses.replace(pose, width=480, height=256)
    pose.faces[:] = ((left + wide / 2) / 480, (top + high // 4 + 3) / 256)
    moved = piece_pose(pose, piece, 128)
    assert (moved.width, moved.height) == LANDSCAPE
    assert np.allclose(moved.faces[0, 0] * LANDSCAPE, (columns.mean() + 0.5, rows.mean() + 0.5), atol=1.0)


def test_rules_of_the_command_line_name_buckets_and_results_of_before_stay_valid():
    given = {**Rules().listed(), "buckets": ["1024x576", "576x1024"]}
    rules = Rules.given_by(given)
    assert rules.buckets == ((1024, 576), (576, 1024)) and rules.listed()["buckets"] == [[1024, 576], [576, 1024]]
    assert "buckets" not in Rules().listed()
    for wrong in ("1024", "1024x", "10x10", "axb", "1024x576x3"):
        with pytest.raises(ValueError, match=f"'{wrong}' is not a size such as 1024x576"):
            Rules.given_by({**given, "buckets": [wrong]})


def test_hands_that_are_gone_for_long_are_not_drawn_where_they_were(tmp_path):
    from echomimic_core.training.data.prepare import make_clip

    seen = video(FRAMES)
    seen.found.hand_scores[:, 1] = 1.0
    seen.found.hand_scores[24:] = 0.0
    seen.found.face_scores[24:] = 0.0
    seen.found.body_scores[24:] = 0.0
    piece = choose_pieces(video(FRAMES), Rules())[0][0]
    states = np.zeros((150, 5, 384), np.float32)
    pose = make_clip(tmp_path / "a.mp4", "a", seen, 0, piece, [b""] * FRAMES, states, 128).pose
    assert (pose.hand_scores[:24, 0] > 0).all() and not pose.hand_scores[26:].any()
    assert (pose.face_scores > 0).all() and (pose.body_scores > 0).all()


def write_film(path, shade, frames=FRAMES, size=64):
    sound = 0.3 * np.sin(np.arange(AUDIO_SAMPLE_RATE * frames // 24) * 0.2, dtype=np.float32)[None]
    with VideoWriter(path, 24, size, size, (sound, AUDIO_SAMPLE_RATE)) as writer:
        for _ in range(frames):
            writer.write(np.full((1, size, size, 3), shade, np.uint8))


def test_a_long_video_is_cut_into_shards_that_are_written_as_they_fill(tmp_path, monkeypatch):
    from echomimic_core.training.data import prepare as module

    held = []
    monkeypatch.setattr(
        module, "write_shard", lambda path, made: held.append((path.name, len(made))) or write(path, made)
    )
    write = clips.write_shard
    write_film(tmp_path / "long.mp4", 128, frames=240)
    (tmp_path / "long-007.safetensors").write_bytes(b"of an earlier run with other rules")
    kept = tmp_path / "latents" / "mark"
    kept.mkdir(parents=True)
    (kept / "long-000.safetensors").write_bytes(b"of the clips of before")
    (kept / "longer-000.safetensors").write_bytes(b"of another video")
    rules = Rules(min_seconds=0.4, max_seconds=0.5)
    result = module.prepare_video(tmp_path / "long.mp4", "long", tmp_path, make_tools(), rules, 64)
    assert held == [("long-000.safetensors", 8), ("long-001.safetensors", 8), ("long-002.safetensors", 4)]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [name for name, _ in held]
    assert [path.name for path in kept.iterdir()] == ["longer-000.safetensors"]
    clips.write_manifest(tmp_path, [clips.ClipInfo(**clip) for clip in result["clips"]])
    found = read_manifest(tmp_path)
    assert [clip.info.start for clip in found] == [0.5 * i for i in range(20)]
    assert all(len(clip) == 12 and clip.frames([11]).shape == (1, 64, 64, 3) for clip in found)
    # The voice is that of the clip's own seconds
    assert [int(clip.audio()[0].max()) for clip in found] == [25 * i for i in range(20)]


def detect_or_die(frames):
    """Detectors that a black film crashes, as damaged files do."""
    import os

    pictures = [picture for _, picture in frames]
    if pictures[0].mean() < 10:
        os._exit(9)
    return fake_detect(pictures)


def crashing_tools():
    return Tools(detect_or_die, one_person, fake_encode)


def broken_tools():
    raise ValueError("whisper.pt is damaged")


@pytest.fixture
def by_name(monkeypatch):
    """This file as the processes import it."""
    from pathlib import Path

    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent}:{Path(__file__).resolve().parents[4]}")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import test_prepare

    return test_prepare


@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_kills_its_process_is_named_and_the_others_go_on(tmp_path, by_name, workers):
    from pathlib import Path

    (tmp_path / "films").mkdir()
    for name, shade in (("a", 128), ("b-killer", 0), ("c", 128)):
        write_film(tmp_path / "films" / f"{name}.mp4", shade)
    report = prepare(tmp_path / "films", tmp_path / "out", by_name.crashing_tools, size=64, workers=workers)
    assert report["clips"] == 2
    (rejected,) = report["rejected"]
    assert Path(rejected["video"]).name == "b-killer.mp4"
    assert "the process that prepared it was killed" in rejected["reason"]
    # What killed a process is no result: it is tried again
    (tmp_path / "films" / "b-killer.mp4").unlink()
    write_film(tmp_path / "films" / "b-killer.mp4", 128)
    assert prepare(tmp_path / "films", tmp_path / "out", by_name.crashing_tools, size=64)["clips"] == 3


def test_tools_that_cannot_be_made_are_a_sentence(tmp_path, by_name):
    write_film(tmp_path / "a.mp4", 128)
    with pytest.raises(ValueError, match="whisper.pt is damaged"):
        prepare(tmp_path / "a.mp4", tmp_path / "out", by_name.broken_tools, size=64)


def detect_estimated(frames):
    found = fake_detect(frames)
    found.face_scores[:] = 0.4
    return found


def estimating_tools():
    return Tools(detect_estimated, one_person, fake_encode)


def test_faces_that_are_only_estimated_are_reported(tmp_path, by_name):
    write_film(tmp_path / "a.mp4", 128)
    report = prepare(tmp_path / "a.mp4", tmp_path / "out", by_name.estimating_tools, size=64)
    assert report["estimated_faces"] == [str(tmp_path / "a.mp4")]
    assert "face was mostly estimated" in report["warning"] and "face_landmarker.task" in report["warning"]


def test_a_real_person_becomes_a_clip(samples, tmp_path):
    """Real detectors and Whisper, on a film of a real picture: framed by the rule, hands and face found."""
    import cv2

    from echomimic_core.media.video import read_audio

    models = samples.parent / "models"
    sound, rate = read_audio(samples / "audio" / "ultraman.wav")
    picture = np.ascontiguousarray(cv2.imread(str(samples / "reference" / "0222.png"))[..., ::-1])
    (tmp_path / "videos").mkdir()
    with VideoWriter(tmp_path / "videos" / "one.mp4", 24, 384, 384, (sound[:, : 2 * rate], rate)) as writer:
        writer.write(np.repeat(cv2.resize(picture, (384, 384), interpolation=cv2.INTER_AREA)[None], 48, 0))
    whisper = str(models / "whisper_tiny_en_encoder_fp16.safetensors")
    given = [str(tmp_path / "videos"), str(tmp_path / "out"), "--whisper", whisper]
    assert main([*given, "--size", "256", "--workers", "1"]) == 0
    (clip,) = read_manifest(tmp_path / "out")
    assert (len(clip), clip.info.kind) == (48, "semi-body")
    pose = clip.pose()
    top, bottom = pose.faces[0, :, 1].min(), pose.faces[0, :, 1].max()
    assert 0.1 < top < 0.18 and 0.12 < bottom - top < 0.25
    assert (pose.hand_scores > 0.3).all() and (pose.hands > 0.5).any()
    assert len(clip.audio()) in (100, 101) and clip.audio().std() > 0.1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "there is no folder"),
        (lambda path: path.mkdir(), "contains no videos"),
    ],
)
def test_a_folder_without_videos_is_refused(tmp_path, make, sentence):
    make(tmp_path / "videos")
    with pytest.raises(ValueError, match=sentence):
        prepare(tmp_path / "videos", tmp_path / "out", make_tools)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_things_is_left_alone(films, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="contains other files.*Nothing was changed"):
        prepare(films, tmp_path, make_tools)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_command_names_the_model_that_is_missing(films, tmp_path, capsys):
    package = ["--detector", "mediapipe", "--models", str(tmp_path)]
    assert main([str(films), str(tmp_path / "out"), *package, "--whisper", "x"]) == 1
    error = capsys.readouterr().err
    assert "has no hand_landmarker bundle" in error and "https://" in error

"""EMTD: the published list read as it is, and local downloads cut and framed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.evaluation.__main__ import main as evaluation
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.emtd import Manifest, find_downloads, main, read_list, seconds, split_of, video_id
from echomimic_core.evaluation.slices import frame_picture, frames_between, sound_between
from echomimic_core.media.video import VideoWriter, read_frames
from echomimic_core.pose.files import load
from echomimic_core.pose.framing import Framing
from tests.unit.evaluation_clips import write

LIST = """URL,Start Timecode,End Timecode
https://www.youtube.com/watch?v=NBMTc71yrpk,00:00:01.000,00:00:02.250
https://www.youtube.com/watch?app=desktop&v=R7jm0-R9N_o,00:02:39.493,00:02:55.609
https://www.youtube.com/watch?v=FpiWSFcL3-c&t=355s,01:05:17.317,01:05:19.528

https://www.youtube.com/watch?v=NBMTc71yrpk,00:00:02.500,00:00:03.500
"""


@pytest.fixture
def listed(tmp_path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text(LIST)
    return path


def test_the_list_is_read_as_it_is_published(listed):
    segments = read_list(listed)
    assert [s.name for s in segments] == ["000_NBMTc71yrpk", "001_R7jm0-R9N_o", "002_FpiWSFcL3-c", "003_NBMTc71yrpk"]
    assert (segments[1].start, segments[1].end) == (pytest.approx(159.493), pytest.approx(175.609))
    assert segments[2].start == pytest.approx(3917.317) and segments[2].url.endswith("&t=355s")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("https://www.youtube.com/watch?v=NBMTc71yrpk,00:00:01", "not enough values"),
        ("https://www.youtube.com/watch?v=NBMTc71yrpk,1.5,00:00:02", "'1.5' is not a time"),
        ("https://www.youtube.com/watch?v=NBMTc71yrpk,00:00:03,00:00:02", "the end is not after the start"),
        ("https://www.youtube.com/channel,00:00:01,00:00:02", "contains no video id"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(listed, line, reason):
    listed.write_text(LIST + line + "\n")
    with pytest.raises(ValueError, match=f"line 7 of list.txt .*{reason}"):
        read_list(listed)


def test_missing_and_empty_lists_are_sentences(tmp_path):
    with pytest.raises(ValueError, match="there is no list"):
        read_list(tmp_path / "nothing.txt")
    (tmp_path / "empty.txt").write_text("URL,Start Timecode,End Timecode\n")
    with pytest.raises(ValueError, match="has no clips"):
        read_list(tmp_path / "empty.txt")


def test_timestamps_and_video_ids_are_parsed():
    assert seconds("01:02:03.500") == 3723.5
    assert video_id("https://youtu.be/NBMTc71yrpk?t=3") == "NBMTc71yrpk"


def test_downloads_are_found_by_id(tmp_path):
    for name in ("A talk [R7jm0-R9N_o].mkv", "NBMTc71yrpk.mp4", "x NBMTc71yrpk.webm", "FpiWSFcL3-c.txt"):
        (tmp_path / name).touch()
    find = find_downloads(tmp_path)
    assert find("NBMTc71yrpk").name == "NBMTc71yrpk.mp4"
    assert find("R7jm0-R9N_o").name == "A talk [R7jm0-R9N_o].mkv"
    assert find("FpiWSFcL3-c") is None


def test_no_video_is_in_both_splits():
    ids = [f"video{i:06d}" for i in range(400)]
    splits = [split_of(i, 0.25) for i in ids]
    assert splits == [split_of(i, 0.25) for i in ids]
    assert 60 < splits.count("validation") < 140
    assert {split_of(i, 0) for i in ids} == {"test"}


@pytest.fixture(scope="module")
def counting(tmp_path_factory) -> Path:
    """Four seconds at 30 fps whose grey tells the frame, with a click at each whole second."""
    pictures = np.broadcast_to(np.arange(120, dtype=np.uint8)[:, None, None, None] * 2, (120, 64, 64, 3)).copy()
    sound = np.zeros(64000, np.float32)
    for second in range(4):
        sound[second * 16000 : second * 16000 + 80] = 0.8
    return write(tmp_path_factory.mktemp("count") / "count.mp4", pictures, sound, 30)


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.1, 2.3), (3.0, 4.0), (3.5, 9.0)])
def test_a_stretch_has_the_frames_of_its_time(counting, start, end):
    stretch = list(frames_between(counting, start, end, 24.0))
    assert len(stretch) == pytest.approx((min(end, 4.0) - start) * 24, abs=2)
    for since, picture in stretch:
        shown = picture.mean() / 2
        assert shown == pytest.approx((start + since) * 30, abs=1.6)


def test_a_stretch_has_the_sound_of_its_time(counting):
    sound, rate = sound_between(counting, 1.5, 2.75)
    assert sound.shape[1] / rate == pytest.approx(1.25, abs=0.01)
    assert np.abs(sound[0]).argmax() / rate == pytest.approx(0.5, abs=0.02)


def test_a_framed_picture_keeps_its_shape_at_the_edge():
    picture = np.zeros((200, 300, 3), np.uint8)
    picture[100, 280:] = 255
    # The square reaches 40 columns over the right edge.
    frame = Framing(300, 200, 100, (0.8, 1.13, 0, 1), (50, 149, 240, 340), (100, 100, 0, 100, 0, 100))
    framed = frame_picture(picture, frame)
    assert framed.shape == (100, 100, 3)
    assert framed[50, 45:58].min() > 200 and framed[:, 62:].max() == 0


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, samples) -> tuple[Path, Path, Path]:
    """(list, downloads, prepared folder) of a wide made-up talk of a real picture."""
    from PIL import Image

    place = tmp_path_factory.mktemp("emtd")
    (place / "list.txt").write_text(LIST)
    (place / "downloads").mkdir()
    person = np.array(Image.open(samples / "reference" / "0222.png").convert("RGB").resize((480, 480)))
    sound = (0.1 * np.sin(np.arange(16000 * 4) / 9)).astype(np.float32)
    with VideoWriter(place / "downloads" / "A talk [NBMTc71yrpk].mp4", 30, 800, 480, (sound[None], 16000)) as film:
        for index in range(120):
            wide = np.full((480, 800, 3), 90, np.uint8)
            wide[:, 200:680] = np.roll(person, index % 7, 1)
            film.write(wide[None])
    arguments = [str(place / "list.txt"), str(place / "downloads"), str(place / "out")]
    assert main(arguments) == 0
    return place / "list.txt", place / "downloads", place / "out"


def test_clips_are_cut_framed_and_listed(prepared):
    manifest = Manifest.load(prepared[2])
    assert manifest.names() == ["000_NBMTc71yrpk", "003_NBMTc71yrpk"]
    assert [m["name"] for m in manifest.missing] == ["001_R7jm0-R9N_o", "002_FpiWSFcL3-c"]
    assert manifest.missing[0]["reason"] == "R7jm0-R9N_o is not among the downloads"
    clip = manifest.clips[0]
    assert clip["frames"] == pytest.approx((1.25 - 0.2) * 24, abs=1) and clip["split"] == "test"
    frames = list(read_frames(prepared[2] / "videos" / "000_NBMTc71yrpk.mp4"))
    assert len(frames) == clip["frames"] and frames[0][1].shape == (768, 768, 3)
    assert (prepared[2] / "pictures" / "000_NBMTc71yrpk.png").is_file()


def test_the_face_comes_to_where_the_framing_puts_it(prepared):
    pose = load(prepared[2] / "poses" / "000_NBMTc71yrpk.safetensors")
    neck = pose.whole_canvas().bodies[:, 1]
    assert neck[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    assert 0.05 < pose.whole_canvas().faces[..., 1].min() < 0.25
    assert len(pose) == Manifest.load(prepared[2]).clips[0]["frames"]


def test_preparing_again_keeps_what_is_there(prepared, monkeypatch):
    from echomimic_core.evaluation import emtd

    def never(*arguments):
        raise AssertionError("prepared again")

    monkeypatch.setattr(emtd, "_prepare_one", never)
    before = (prepared[2] / "manifest.json").read_text()
    assert main([str(prepared[0]), str(prepared[1]), str(prepared[2])]) == 0
    assert (prepared[2] / "manifest.json").read_text() == before


def test_the_benchmark_prints_the_papers_table_beside_ours(prepared, tmp_path, capsys):
    made = tmp_path / "made"
    made.mkdir()
    shutil.copy(prepared[2] / "videos" / "000_NBMTc71yrpk.mp4", made)
    common = ["--emtd", str(prepared[2]), "--no-cache", "--metrics", "ssim,psnr,fid"]
    assert evaluation([str(made), *common]) == 0
    shown = capsys.readouterr()
    assert "003_NBMTc71yrpk, left out of PSNR, SSIM: not among the generated clips" in shown.out
    assert "FID and the paper: depends on how many frames count" in shown.out
    rows = {line.split()[0]: line.split() for line in shown.out.splitlines() if " and the paper: " not in line}
    assert rows["metric"] == ["metric", "value", "AnimateAnyone", "MimicMotion", "EchoMimicV2", "clips"]
    assert rows["SSIM"] == ["SSIM", "↑", "1.0000", "0.729", "0.702", "0.738", "from", "1", "of", "4", "clips"]


def test_benchmarks_without_matching_clips_are_sentences(tmp_path):
    clip = {"name": "000_a", "split": "test"}
    (tmp_path / "manifest.json").write_text(
        json.dumps({"format": "echomimicv2-emtd", "version": 1, "clips": [clip], "missing": []})
    )
    manifest = Manifest.load(tmp_path)
    with pytest.raises(ValueError, match="none of the 1 generated clips is named like one of EMTD's, such as 000_a"):
        manifest.pair([Clip("other", "video")], "test")
    with pytest.raises(ValueError, match="no clips in the split 'validation'"):
        manifest.pair([Clip("000_a", "video")], "validation")


def test_missing_bundles_stop_the_preparation_with_a_sentence(prepared, tmp_path, capsys):
    arguments = [str(prepared[0]), str(prepared[1]), str(tmp_path / "out"), "--mediapipe", str(tmp_path)]
    assert main(arguments) == 2
    assert "MediaPipe's hand landmarker is missing" in capsys.readouterr().err

"""No clip is dropped in silence: every score tells of how many clips it is, and why the others are not in it."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.evaluation import faces, report
from echomimic_core.evaluation.__main__ import main
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.emtd import Manifest
from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.metrics.registry import METRICS, choose
from echomimic_core.evaluation.sets import gather
from echomimic_core.evaluation.settings import Settings
from echomimic_core.files import durable
from tests.unit.evaluation_clips import (
    FixedFaces,
    face_bundle,
    moving_picture,
    noisy,
    small_networks,
    spoken,
    write,
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory) -> Path:
    return small_networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture
def plain(networks) -> Settings:
    return Settings(folders=(networks,), mediapipe=())


@pytest.fixture(scope="module")
def uneven(tmp_path_factory) -> tuple[Path, Path]:
    """Generated: good, short (8 frames), alone (no real clip), torn. Real: good, short, torn, waiting."""
    made, real = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("real")
    pictures = moving_picture(40)
    for name, frames in (("good", 40), ("short", 8), ("alone", 40)):
        write(made / f"{name}.mp4", noisy(pictures[:frames], 9))
    (made / "torn.mp4").write_bytes((made / "good.mp4").read_bytes()[:900])
    for name in ("good", "short", "torn", "waiting"):
        write(real / f"{name}.mp4", pictures)
    return made, real


def test_every_score_of_a_set_tells_which_clips_it_lacks_and_why(uneven, plain):
    found = evaluate(*map(gather, uneven), choose(["fid", "fvd", "ssim", "hkc"]), plain)
    scores = {score.metric.key: score for score in found.scores}
    assert {key: (score.used, score.total) for key, score in scores.items()} == {
        "fid": (2, 5),
        "fvd": (1, 5),
        "ssim": (2, 5),
        "hkc": (3, 5),
    }
    assert list(scores["fvd"].left_out) == ["alone", "short", "torn", "waiting"]
    assert scores["fvd"].left_out["alone"] == "alone has no real clip"
    assert "short has fewer than 16 frames" in scores["fvd"].left_out["short"]
    assert "cannot be read as video" in scores["fid"].left_out["torn"]
    assert scores["hkc"].left_out["waiting"] == "no generated clip has the name of this real one"


def test_text_json_and_reports_tell_of_how_many_clips_a_score_is(uneven, plain, tmp_path):
    found = evaluate(*map(gather, uneven), choose(["fid", "fvd", "ssim"]), plain)
    text = report.as_text(found).splitlines()
    assert next(line for line in text if line.startswith("FVD")).endswith("from 1 of 5 clips")
    assert "alone, left out of FID, FVD: alone has no real clip" in text
    assert sum("short has fewer than 16 frames" in line for line in text) == 1
    content = json.loads(report.as_json(found))["metrics"]["fvd"]["from"]
    assert (content["used"], content["total"]) == (1, 5) and set(content["left_out"]) == {
        "alone",
        "short",
        "torn",
        "waiting",
    }
    for ending in ("html", "md"):
        written = report.save(found, tmp_path / f"r.{ending}")[0].read_text("utf-8")
        for expected in ("from 1 of 5 clips", "from 2 of 5 clips", "Clips left out", "short has fewer than 16 frames"):
            assert expected in written, (ending, expected)


def test_a_whole_set_has_nothing_left_out(uneven, plain, tmp_path):
    good = [clip for clip in gather(uneven[0]) if clip.name == "good"]
    found = evaluate(good, [c for c in gather(uneven[1]) if c.name == "good"], choose(["fid", "ssim"]), plain)
    assert [(s.used, s.total, s.left_out) for s in found.scores] == [(1, 1, {}), (1, 1, {})]
    assert "clips" not in report.as_text(found)
    assert "left out" not in report.save(found, tmp_path / "r.md")[0].read_text("utf-8")


@pytest.fixture
def prepared(uneven, tmp_path) -> Path:
    """A benchmark of three clips, of which one could not be prepared."""
    (tmp_path / "videos").mkdir()
    for name in ("good", "waiting"):
        (tmp_path / "videos" / f"{name}.mp4").write_bytes((uneven[1] / f"{name}.mp4").read_bytes())
    entries = [{"name": name, "split": "test"} for name in ("good", "waiting")]
    other = {"name": "other", "split": "validation", "reason": "not downloaded"}
    Manifest(tmp_path, entries, [{"name": "lost", "split": "test", "reason": "not among the downloads"}, other]).save()
    return tmp_path


def test_the_benchmark_counts_clips_that_were_not_prepared_or_not_generated(prepared, uneven, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["--emtd", str(prepared), "--metrics", "ssim", "--no-cache", "--quiet", "--json", str(out)]
    assert main([str(uneven[0]), *arguments]) == 0
    shown = capsys.readouterr().err
    assert "waiting, left out of SSIM: not among the generated clips" in shown
    assert "lost, left out of SSIM: not among the prepared clips: not among the downloads" in shown
    coverage = json.loads(out.read_text("utf-8"))["metrics"]["ssim"]["from"]
    assert coverage["used"] == 1 and coverage["total"] == 3 and set(coverage["left_out"]) == {"waiting", "lost"}


def filmed(frames: int = 4) -> Clip:
    return Clip("a", "video", pictures=moving_picture(frames), rate=24.0)


def test_hands_need_neither_bundles_nor_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    found = evaluate([filmed()], None, choose(["hands"]), Settings(folders=(), mediapipe=(tmp_path,)))
    (score,) = found.scores
    assert score.value == 0 and set(found.clips[0].curves) == {"left hand", "right hand"}


def test_places_that_cannot_be_written_are_told_before_anything_is_computed(uneven, tmp_path, monkeypatch, capsys):
    def never(self, fps=None):
        raise AssertionError("a frame was read")

    monkeypatch.setattr(Clip, "frames", never)
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").touch()
    for option, path, sentence in (
        ("--json", "nowhere/out.json", "there is no folder"),
        ("--report", "nowhere/out.html", "there is no folder"),
        ("--json", "file/out.json", "there is no folder"),
        ("--report", "folder.md", "is a folder"),
    ):
        assert main([str(uneven[0]), str(uneven[1]), "--metrics", "ssim", option, str(tmp_path / path)]) == 2
        shown = capsys.readouterr().err
        assert f"{option} {tmp_path / path}" in shown and sentence in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.md"]


def test_a_read_only_folder_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(durable.Draft, "open", refuse)
    with pytest.raises(ValueError, match=r"--json .*out.json cannot be written: Permission denied"):
        report.check_places("--json", tmp_path / "out.json")


def test_a_report_that_is_stopped_midway_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "r.html"
    path.write_text("old")

    def stopped(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(durable.os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        durable.write_bytes(path, b"new and long")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_lost_hands_in_one_clip_are_not_hidden_by_the_mean(networks):
    dark = Clip("dark", "video", pictures=np.zeros((4, 64, 64, 3), np.uint8), rate=24.0)
    found = evaluate([filmed(), dark], None, choose(["hkc"]), Settings(folders=(networks,), mediapipe=()))
    assert found.scores[0].used == found.scores[0].total == 2 and set(found.scores[0].clips) == {"a", "dark"}


def test_what_a_clip_lacks_is_kept_too(networks, tmp_path, monkeypatch):
    """A rerun of clips without sound or face, of one frame or of another shape reads none of them again."""
    monkeypatch.setattr(faces, "FaceFinder", FixedFaces)
    settings = Settings(folders=(networks,), mediapipe=(face_bundle(tmp_path),))
    pictures, sound = spoken(20)
    for name, frames, heard in (
        ("mute", pictures, None),
        ("dark", np.zeros_like(pictures), sound),
        ("single", pictures[:1], sound),
        ("wide", pictures[:, :32], sound),
    ):
        for folder, shown in (("made", frames), ("real", pictures)):
            (tmp_path / folder).mkdir(exist_ok=True)
            write(tmp_path / folder / f"{name}.mp4", shown, heard, 25)
    read, frames = [], Clip.frames
    monkeypatch.setattr(Clip, "frames", lambda self, fps=None: read.append(self.name) or frames(self, fps))
    made = [metric for metric in METRICS if metric.extractor not in ("hands", "dlib")]

    def run():
        return evaluate(gather(tmp_path / "made"), gather(tmp_path / "real"), made, settings, cache=tmp_path / "cache")

    first = report.as_json(run())
    assert read and "has no audio" in first and "fewer than 16 frames" in first
    read.clear()
    assert report.as_json(run()) == first and read == []


def test_numbers_written_among_the_clips_are_no_clip(tmp_path, plain):
    write(tmp_path / "a.mp4", moving_picture(4))
    found = evaluate(gather(tmp_path), None, choose(["hkc"]), plain)
    durable.write_bytes(tmp_path / "a.json", report.as_json(found).encode())
    assert [clip.path.name for clip in gather(tmp_path)] == ["a.mp4"]


def test_a_console_without_arrows_shows_the_numbers(uneven, tmp_path, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    arguments = ["--metrics", "psnr", "--no-cache", "--json", str(tmp_path / "a.json")]
    assert main([*map(str, uneven), *arguments]) == 0
    console.flush()
    assert b"PSNR ?" in console.buffer.getvalue() and (tmp_path / "a.json").is_file()


def test_one_clip_out_of_a_set_does_not_miss_the_others(uneven, capsys):
    assert main([str(uneven[0] / "good.mp4"), str(uneven[1]), "--metrics", "psnr", "--no-cache", "--quiet"]) == 0
    assert "left out" not in "".join(capsys.readouterr())


def test_clips_that_lack_the_same_are_told_of_together(uneven, plain):
    real = [Clip(name, "video", pictures=moving_picture(4), rate=24.0) for name in ("good", "late", "later")]
    found = evaluate([replace(real[0])], real, choose(["psnr"]), plain)
    assert "late, later, left out of PSNR: no generated clip has the name of this real one" in report.as_text(found)


def test_a_device_that_is_not_there_is_a_sentence(uneven, capsys):
    assert main([str(uneven[0] / "good.mp4"), "--metrics", "hkc", "--device", "nonsense"]) == 2
    assert "--device nonsense cannot be used on this machine" in capsys.readouterr().err


def test_a_file_that_is_no_network_is_a_sentence(tmp_path):
    junk = tmp_path / "junk.pt"
    junk.write_bytes(bytes(range(256)) * 9)
    settings = Settings(folders=(), mediapipe=(), chosen={"inception": junk})
    (score,) = evaluate([filmed()], [filmed()], choose(["fid"]), settings).scores
    assert "junk.pt cannot be used as the FID Inception network: it is damaged, or contains more than" in score.reason

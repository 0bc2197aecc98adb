"""What an evaluation looks like on paper, and the command that makes it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from echomimic_core.evaluation import report
from echomimic_core.evaluation.__main__ import main
from echomimic_core.evaluation.console import ProgressLine
from echomimic_core.evaluation.evaluate import Evaluation
from echomimic_core.evaluation.findings import ClipReport
from echomimic_core.evaluation.metrics.registry import BY_KEY, METRICS
from echomimic_core.evaluation.report import curves, picture
from echomimic_core.evaluation.scores import Score
from tests.unit.evaluation_clips import moving_picture, noisy, small_networks, spoken, write


def example() -> Evaluation:
    mouth = np.full(48, 0.1)
    mouth[10:20] = np.nan
    clip = ClipReport("<b>clip</b>|one", 24.0, ["the left hand is missing in 50% of the frames"])
    clip.curves = {"mouth": mouth, "loudness": np.linspace(-60, 0, 48), "left hand": np.zeros(48)}
    clip.curves |= {"right hand": np.full(48, 0.9), "psnr": np.full(48, np.inf)}
    scores = [
        Score(BY_KEY["psnr"], np.inf, clips={clip.name: np.inf}),
        Score(BY_KEY["ssim"], 0.73812345, clips={clip.name: 0.73812345}),
        Score(BY_KEY["fid"], None, "the FID Inception network is missing: put it there"),
    ]
    return Evaluation(scores, [clip])


def test_text_tells_numbers_reasons_and_remarks():
    lines = report.as_text(example()).splitlines()
    assert lines[1].split() == ["PSNR", "↑", "∞"] and lines[2].split() == ["SSIM", "↑", "0.7381"]
    assert "not computed" in lines[3] and lines[4].startswith("FID: the FID Inception network is missing")
    assert lines[5].endswith("the left hand is missing in 50% of the frames")


def test_metrics_that_lack_the_same_are_told_of_together():
    both = [Score(BY_KEY[key], None, "SyncNet is missing") for key in ("sync-c", "sync-d")]
    lines = report.as_text(Evaluation(both, [])).splitlines()
    assert lines[3:] == ["Sync-C, Sync-D: SyncNet is missing"]


def test_the_papers_table_stands_beside_ours():
    lines = report.as_text(example(), paper=True).splitlines()
    assert lines[0].split() == ["metric", "value", "AnimateAnyone", "MimicMotion", "EchoMimicV2"]
    assert lines[2].split() == ["SSIM", "↑", "0.7381", "0.729", "0.702", "0.738"]
    assert lines[3].split()[-3:] == ["58.98", "53.47", "49.33"]


def test_json_is_strict_and_whole():
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    content = json.loads(report.as_json(example()), parse_constant=refuse)
    assert content["metrics"]["psnr"]["value"] == "Infinity" and content["metrics"]["fid"]["value"] is None
    (clip,) = content["clips"].values()
    assert clip["curves"]["mouth"][15] is None and clip["curves"]["psnr"][0] == "Infinity"
    assert len(clip["curves"]["loudness"]) == 48


@pytest.mark.parametrize("ending", ["html", "md"])
def test_reports_hold_numbers_curves_definitions_and_sources(tmp_path, ending):
    written = report.save(example(), tmp_path / f"r.{ending}", paper=True)
    text = written[0].read_text("utf-8")
    for expected in ("0.7381", "∞", "not computed", "49.33", "Wang et al. 2004", "1706.08500", "σ 1.5"):
        assert expected in text, expected
    if ending == "html":
        assert "<b>clip" not in text and "&lt;b&gt;clip" in text and "Does the mouth follow the voice?" in text
        assert [path.suffix for path in written] == [".html", ".csv", ".tex", ".json", ".json"]
    else:
        assert re.search(r"!\[curves of .*\]\(r_000\.png\)", text) and written[1].read_bytes()[1:4] == b"PNG"
        assert r"<b>clip</b>\|one" in text


def test_every_metric_tells_definition_source_and_what_is_good():
    for metric in METRICS:
        assert len(metric.definition) > 40 and metric.source and metric.good, metric.key


def test_curves_show_where_a_face_or_hand_is_missing():
    whole = curves.draw(example().clips[0])
    assert whole.shape[1:] == (960, 3) and whole.dtype == np.uint8
    rose = (np.abs(whole.astype(int) - curves.MISSING).sum(-1) < 12).any(0)
    assert rose.any()
    clip = example().clips[0]
    clip.curves = {"mouth": np.full(48, 0.1)}
    assert not (np.abs(curves.draw(clip).astype(int) - curves.MISSING).sum(-1) < 12).any()


@pytest.mark.parametrize("side", ("left hand", "right hand"))
def test_a_band_shows_where_either_hand_is_missing(side):
    def rose(missing):
        clip = ClipReport("clip", 24.0, curves={"left hand": np.ones(48), "right hand": np.ones(48)})
        clip.curves[side][missing] = 0
        return (np.abs(curves.draw(clip).astype(int) - curves.MISSING).sum(-1) < 12).any(axis=0)

    assert not rose([]).any()
    early, late = np.flatnonzero(rose(range(12))), np.flatnonzero(rose(range(36, 48)))
    assert 100 < len(early) < 400 and early.max() < late.min()


@pytest.mark.parametrize("frames", [1, 2, 5000])
def test_curves_of_any_length_and_content_can_be_drawn(frames):
    clip = ClipReport("any", 24.0, curves={"mouth": np.full(frames, np.nan), "left hand": np.zeros(frames)})
    clip.curves |= {"right hand": np.zeros(frames), "psnr": np.full(frames, np.inf), "identity": np.ones(frames)}
    assert curves.draw(clip).shape[1] == 960
    assert curves.draw(ClipReport("nothing")).shape[1] == 960


def test_an_unknown_file_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"as \.html or \.md, not as 'r.pdf'"):
        report.save(example(), tmp_path / "r.pdf")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    _, sound = spoken(40)
    write(folder / "made.mp4", noisy(moving_picture(40), 9), sound, 25)
    write(folder / "real.mp4", moving_picture(40), sound, 25)
    small_networks(folder / "networks")
    return folder


def run(place: Path, *arguments: str) -> int:
    return main([*arguments, "--cache", str(place / "cache"), "--mediapipe", str(place), "--processes", "1"])


def test_the_command_prints_and_writes_everything(place, capsys):
    networks = ("--networks", str(place / "networks"), "--sync-crop", "whole")
    out = ("--json", str(place / "out.json"), "--report", str(place / "out.html"))
    assert run(place, str(place / "made.mp4"), str(place / "real.mp4"), *networks, *out) == 0
    shown = capsys.readouterr().out
    content = json.loads((place / "out.json").read_text("utf-8"))
    for key in ("fid", "fvd", "psnr", "ssim", "lpips", "sync-c", "sync-d", "hkc", "hkv"):
        assert content["metrics"][key]["value"] is not None, (key, content["metrics"][key]["reason"])
    assert f"{content['metrics']['ssim']['value']:.4f}" in shown and "E-FID" in shown
    assert (place / "out.html").is_file()


def test_the_command_prints_json_for_programs(place, capsys):
    assert run(place, str(place / "made.mp4"), str(place / "real.mp4"), "--metrics", "PSNR,ssim", "--json", "-") == 0
    assert set(json.loads(capsys.readouterr().out)["metrics"]) == {"psnr", "ssim"}


def test_the_command_takes_single_network_files(place, capsys):
    file = place / "networks" / "inception-2015-12-05.pt"
    chosen = ("--network", f"inception={file}", "--metrics", "fid", "--json", "-")
    assert run(place, str(place / "made.mp4"), str(place / "real.mp4"), *chosen) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]["fid"]["value"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.mp4"], "there is no file or folder"),
        (["made.mp4", "--metrics", "beauty"], "there is no metric 'beauty'"),
        (["made.mp4", "--network", "inception"], "should be NAME=FILE"),
        (["made.mp4", "--network", "eyes=a.pt"], "should be NAME=FILE"),
        (["made.mp4", "--report", "r.pdf"], "as .html or .md, not as 'r.pdf'"),
        (["made.mp4", "--batch", "0"], "the batch is 0"),
        (["made.mp4", "--emtd", "."], "has no readable manifest.json"),
    ],
)
def test_wrong_arguments_are_sentences(place, capsys, monkeypatch, arguments, sentence):
    monkeypatch.chdir(place)
    assert run(place, *arguments) == 2
    assert sentence in capsys.readouterr().err


def test_nothing_computed_is_told_to_scripts(place, capsys):
    assert run(place, str(place / "made.mp4"), "--metrics", "psnr") == 1
    assert "not computed" in capsys.readouterr().out


def test_progress_tells_frames_and_time_left(capsys):
    line = ProgressLine()
    line(0, 100)
    line.shown = -1
    line.begun -= 30
    line(50, 100)
    line(100, 100)
    shown = capsys.readouterr().err
    assert "0/100 frames, starting" in shown and re.search(r"50/100 frames, 0:(29|30|31) left", shown)
    assert shown.endswith("\n")


def test_the_table_is_a_picture_that_grows_with_what_is_said():
    whole = picture.table(example())
    assert whole.shape[1:] == (960, 3) and whole.dtype == np.uint8 and whole.min() < 80
    shorter = picture.table(Evaluation([Score(BY_KEY["ssim"], 0.7)], []))
    assert shorter.shape[0] < whole.shape[0]
    nothing = picture.table(Evaluation([Score(BY_KEY["fid"], None, "the network is missing: put it there")], []))
    assert nothing.min() < 160

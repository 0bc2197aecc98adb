"""Sets as people have them on disk: frames, folders of them, pairs in a table, unpaired sets, several methods."""

import json
import shutil
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from echomimic_core.evaluation import report
from echomimic_core.evaluation.__main__ import main
from echomimic_core.evaluation.clips import Clip
from echomimic_core.evaluation.evaluate import evaluate
from echomimic_core.evaluation.methods import Comparison
from echomimic_core.evaluation.metrics.registry import choose
from echomimic_core.evaluation.sets import gather, read_pairs
from echomimic_core.evaluation.settings import Settings
from tests.unit.evaluation_clips import moving_picture, noisy, small_networks, write

FPS = 25.0


def frames_in(folder: Path, pictures: np.ndarray, name: str = "{}.png") -> Path:
    folder.mkdir(parents=True)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / name.format(index))
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Networks, three real clips, two methods of other quality, and a set of other names."""
    place = tmp_path_factory.mktemp("sets")
    small_networks(place / "networks")
    for folder in ("real", "ours", "other", "elsewhere"):
        (place / folder).mkdir()
    for seed, name in enumerate(("anna", "max", "zoe")):
        pictures = moving_picture(18, seed=seed)
        write(place / "real" / f"{name}.mp4", pictures, fps=FPS)
        write(place / "ours" / f"{name}.mp4", noisy(pictures, 8), fps=FPS)
        write(place / "other" / f"{name}.mp4", noisy(pictures, 30), fps=FPS)
        shutil.copy(place / "real" / f"{name}.mp4", place / "elsewhere" / f"clip{seed}.mp4")
    return place


@pytest.fixture
def plain(place) -> Settings:
    return Settings(folders=(place / "networks",), mediapipe=(), sync_crop="whole")


def test_a_folder_of_frames_is_the_video_of_them(tmp_path, plain):
    pictures = moving_picture(12)
    (clip,) = gather(frames_in(tmp_path / "anna", pictures, "frame_{}.png"), 30.0)
    assert (clip.kind, clip.name, clip.fps(), clip.length()) == ("video", "anna", 30.0, 12)
    # By number, not by letter: frame_10 comes after frame_9.
    assert all(np.array_equal(shown, real) for (_, shown), real in zip(clip.frames(), pictures, strict=True))
    made = Clip("anna", "video", pictures=noisy(pictures, 5), rate=30.0)
    in_memory = Clip("anna", "video", pictures=pictures, rate=30.0)
    chosen = choose(["psnr", "fid", "kid"])
    of_folder, of_memory = (evaluate([made], [real], chosen, plain) for real in (clip, in_memory))
    assert [s.value for s in of_folder.scores] == [s.value for s in of_memory.scores]


def test_folders_of_folders_and_sound_next_to_frames(tmp_path):
    frames_in(tmp_path / "set" / "b", moving_picture(3), "{}.png")
    frames_in(tmp_path / "set" / "a", moving_picture(3), "img{}.jpg")
    with wave.open(str(tmp_path / "set" / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.ones(20_000, np.int16).tobytes())
    silent, sounding = sorted(gather(tmp_path / "set"), key=lambda clip: clip.name, reverse=True)
    assert (silent.name, sounding.name) == ("b", "a") and len(sounding.mono()) == 20_000
    with pytest.raises(ValueError, match="no sound"):
        silent.mono()
    deep = tmp_path / "results" / "run1"
    deep.mkdir(parents=True)
    write(deep / "x.mp4", moving_picture(2))
    assert [clip.name for clip in gather(tmp_path / "results")] == ["run1/x"]


def test_pictures_that_are_no_frames_are_clips_of_their_own(tmp_path):
    folder = tmp_path / "people"
    frames_in(folder, moving_picture(2), "person{}.png")
    assert [clip.kind for clip in gather(folder)] == ["video"]
    assert [clip.kind for clip in gather(folder, portraits=True)] == ["picture", "picture"]
    Image.fromarray(moving_picture(1)[0]).save(folder / "someone.png")
    assert [clip.kind for clip in gather(folder)] == ["picture"] * 3


def test_another_frame_rate_is_another_clip_for_the_cache(tmp_path):
    folder = frames_in(tmp_path / "a", moving_picture(2))
    assert gather(folder, 25.0)[0].fingerprint() != gather(folder, 30.0)[0].fingerprint()


def test_unpaired_sets_give_the_set_metrics_of_paired_ones_and_refuse_pairs(place, plain):
    chosen = choose(["fid", "kid", "fvd", "psnr", "flicker"])
    made = gather(place / "ours")
    paired = evaluate(made, gather(place / "real"), chosen, plain)
    unpaired = evaluate(made, gather(place / "elsewhere"), chosen, plain)
    for key in ("fid", "kid", "fvd", "flicker"):
        assert unpaired.value(key) == pytest.approx(paired.value(key), rel=1e-6), key
    hashed = report.describe(Comparison({"": unpaired}), plain).data
    assert {f"real/{clip.name}" for clip in gather(place / "elsewhere")} <= hashed.keys()
    assert unpaired.value("psnr") is None and "unpaired" in unpaired.score("psnr").reason
    assert "compared as unpaired" in unpaired.notes[0] and not any("unpaired" in note for note in paired.notes)
    fewer = evaluate(made, gather(place / "real")[:2], chosen, plain, unpaired=True)
    assert fewer.score("fid").samples == (54, 36) and fewer.score("fid").used == 3
    assert fewer.value("psnr") is None


def test_set_metrics_say_their_samples_and_warn_of_few(place, plain):
    found = evaluate(gather(place / "ours"), gather(place / "real"), choose(["fid", "fvd", "kid"]), plain)
    assert {s.metric.key: s.samples for s in found.scores} == {"fid": (54, 54), "fvd": (3, 3), "kid": (54, 54)}
    text = report.as_text(found)
    assert "54 / 54 samples" in text and "fewer than its 2048 features" in text
    assert not found.score("kid").warning and found.score("kid").deviation >= 0


@pytest.mark.parametrize(
    ("protocol", "frames", "samples"), [("all", 16, 2), ("first", 16, 1), ("whole", 16, 1), ("random", 16, 2048)]
)
def test_every_fvd_protocol_takes_its_samples_and_says_so(plain, protocol, frames, samples):
    clip = Clip("a", "video", pictures=moving_picture(35, size=32), rate=FPS)
    settings = replace(plain, fvd=protocol, clip_frames=frames, batch=64)
    (score,) = evaluate([clip], [replace(clip)], choose(["fvd"]), settings).scores
    assert score.samples == (samples, samples) or score.reason.startswith("a distribution needs at least 2")
    assert f"protocol {protocol}" in score.metric.definition
    assert (score.value is None) == (samples == 1)


def test_pairs_of_a_table_are_matched_whatever_their_names(place, plain, tmp_path):
    table = tmp_path / "pairs.csv"
    rows = [f"{place}/ours/anna.mp4,{place}/elsewhere/clip0.mp4", f"{place}/other/anna.mp4,{place}/real/anna.mp4"]
    table.write_text("generated,reference\n" + "\n".join(rows) + "\n")
    generated, reference, pictures = read_pairs(table)
    assert [clip.name for clip in generated] == [clip.name for clip in reference] == ["anna", "anna (2)"]
    found = evaluate(generated, reference, choose(["psnr"]), plain, pictures)
    assert found.score("psnr").clips["anna"] > found.score("psnr").clips["anna (2)"] + 5


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\nx,y\n", "columns generated, reference"),
        ("generated,reference\nnothing.mp4,\n", "line 2 of pairs.csv: 'nothing.mp4' is not one clip"),
        ("generated,reference\n", "a line per pair"),
    ],
)
def test_wrong_tables_are_sentences(tmp_path, content, sentence):
    (tmp_path / "pairs.csv").write_text(content)
    with pytest.raises(ValueError, match=sentence):
        read_pairs(tmp_path / "pairs.csv")


@pytest.fixture(scope="module")
def compared(place) -> Comparison:
    settings = Settings(folders=(place / "networks",), mediapipe=(), sync_crop="whole")
    chosen = choose(["fid", "psnr", "ssim", "hkv"])
    real = gather(place / "real")
    return Comparison({name: evaluate(gather(place / name), real, chosen, settings) for name in ("ours", "other")})


def test_methods_have_a_best_and_paired_tests(compared):
    by_key = {metric.key: metric for metric in compared.metrics}
    assert compared.best(by_key["psnr"]) == compared.best(by_key["fid"]) == {"ours"}
    assert compared.best(by_key["hkv"]) == set()
    test = compared.tests(by_key["psnr"])["ours", "other"]
    assert test.clips == 3 and test.interval[0] > 5 and np.isnan(test.p)
    assert compared.tests(by_key["fid"]) == {}
    assert not compared.uneven()
    fewer = Comparison({**compared.methods, "few": replace(compared.methods["ours"], clips=[])})
    assert "3 in common" not in fewer.uneven() and "few 0" in fewer.uneven()


def test_values_of_different_clips_have_no_best(compared):
    ssim = next(metric for metric in compared.metrics if metric.key == "ssim")
    worse = compared.methods["other"]
    lost = replace(worse.score("ssim"), value=0.999, used=2, clips={"a": 0.999}, left_out={"b": "damaged"})
    scores = [lost if score.metric.key == "ssim" else score for score in worse.scores]
    apart = Comparison({**compared.methods, "other": replace(worse, scores=scores)})
    assert apart.best(ssim) == set() and compared.best(ssim) == {"ours"}
    assert apart.uneven().startswith("SSIM: the methods' values are of different clips")
    assert report.as_latex(apart).startswith("% SSIM: ")


def test_methods_stand_in_one_table_with_the_best_marked(compared, tmp_path):
    line = next(line for line in report.compared(compared).splitlines() if line.startswith("PSNR"))
    assert line.split()[3] == "±" and line.split()[5] == "*" and line.count("*") == 1
    latex = report.as_latex(compared)
    assert r"\toprule" in latex and latex.count(r"\textbf") == 3 and r"PSNR $\uparrow$" in latex
    head, *rows = report.as_csv(compared).splitlines()
    assert head == "method,clip,fid,psnr,ssim,hkv" and len(rows) == 8 and rows[0].startswith("ours,(all),")
    written = report.save(compared, tmp_path / "r.html")
    page = written[0].read_text("utf-8")
    assert page.count('class="value best"') == 3 and "Paired tests" in page


def test_the_command_compares_methods_by_schema_and_is_quiet(place, tmp_path, capfd):
    """With the numbers in files and nothing wrong there is no line at all, whatever libraries print."""
    arguments = [f"--method={name}={place / name}" for name in ("ours", "other")]
    arguments += [str(place / "real"), "--metrics", "psnr,faces", "--networks", str(place / "networks")]
    arguments += ["--report", str(tmp_path / "r.html"), "--cache", str(tmp_path / "cache"), "--processes", "1"]
    assert main([*arguments, "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    content = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert set(content["methods"]) == {"ours", "other"} and content["tests"][0]["metric"] == "psnr"
    assert content["setup"]["command"].startswith("python -m echomimic_core.evaluation --method")
    assert len(content["setup"]["data"]["ours/anna"]) == 64
    schema = json.loads((tmp_path / "r.schema.json").read_text("utf-8"))
    assert_valid(content, schema, schema)


KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}


def assert_valid(value, schema: dict, whole: dict) -> None:
    """What the schema uses of JSON Schema; and nothing is there that it does not name."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if "oneOf" in schema:
        assert any(fits(value, one, whole) for one in schema["oneOf"]), value
        return
    assert isinstance(value, KINDS.get(schema.get("type"), object)), (value, schema)
    assert value == schema.get("const", value) and value in schema.get("enum", [value])
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        for key, item in value.items():
            known = schema.get("properties", {})
            assert key in known or "additionalProperties" in schema, key
            assert_valid(item, known.get(key, schema.get("additionalProperties")), whole)
    if isinstance(value, list):
        for item in value:
            assert_valid(item, schema["items"], whole)


def fits(value, schema: dict, whole: dict) -> bool:
    try:
        assert_valid(value, schema, whole)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--method", "ours"], "--method ours should be NAME=PATH"),
        ([], "there is nothing to evaluate"),
        (["real", "real", "real"], "one path too many"),
        (["--pairs", "none.csv", "real"], "--pairs names all clips"),
        (["real", "--frame-rate", "0"], "--frame-rate is 0, but it must be from 0.1 to 1000"),
        (["real", "--frame-rate", "nan"], "--frame-rate is nan"),
        (["real", "--frame-rate", "inf"], "--frame-rate is inf"),
        (["real", "--processes", "-3"], "--processes is -3, but it must be 0 or more"),
        (["real", "--batch", "-1"], "the batch is -1"),
        (["real", "--batch", "many"], "error: argument --batch: invalid int value: 'many' (--help lists the options)"),
        (["real", "--fvd", "none"], "error: argument --fvd: invalid choice: 'none'"),
        (["real", "--fvd-frames", "8"], "FVD samples of 8 frames are too short"),
        (["--method", "a=real", "--method", "a=ours"], "two of --method have the same name"),
    ],
)
def test_arguments_that_do_not_fit_are_sentences(place, capfd, monkeypatch, arguments, sentence):
    monkeypatch.chdir(place)
    assert main(arguments) == 2
    said = capfd.readouterr().err
    assert sentence in said and len(said.splitlines()) == 1


def test_a_cache_that_cannot_be_written_is_one_sentence_and_costs_no_number(place, plain, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    chosen = choose(["fid", "psnr"])
    made, real = gather(place / "ours"), gather(place / "real")
    found, good = evaluate(made, real, chosen, plain, cache=tmp_path / "cache"), evaluate(made, real, chosen, plain)
    assert [s.value for s in found.scores] == [s.value for s in good.scores]
    (problem,) = found.problems
    assert problem.startswith("results are not cached") and report.as_text(found).count("not cached") == 1
    assert good.problems == [] and not any("cache" in note for note in found.notes)


def test_quiet_numbers_are_a_line_per_metric_and_failures_a_line_each(place, tmp_path, capfd):
    arguments = [str(place / "ours"), str(place / "real"), "--metrics", "psnr,ssim", "--processes", "1", "--quiet"]
    assert main([*arguments, "--no-cache"]) == 0
    out, err = capfd.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["metric", "PSNR", "SSIM"] and err == ""
    (tmp_path / "made").mkdir()
    shutil.copy(place / "ours" / "anna.mp4", tmp_path / "made")
    (tmp_path / "made" / "max.mp4").write_bytes(b"no video")
    (tmp_path / "cache").touch()
    arguments = [str(tmp_path / "made"), str(place / "real"), "--metrics", "psnr,fid", "--networks", str(tmp_path)]
    assert main([*arguments, "--cache", str(tmp_path / "cache"), "--processes", "1", "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["metric", "FID", "PSNR"]
    starts = ("results are not cached", "FID: the FID Inception network is missing", "max, left out of PSNR")
    assert len(err.splitlines()) == 4 and err.splitlines()[3].startswith("zoe, left out of PSNR")
    assert all(line.startswith(start) for line, start in zip(err.splitlines(), starts, strict=False))


def test_what_is_written_never_replaces_what_is_read(place, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text(f"generated\n{place}/ours/anna.mp4\n")
    (tmp_path / "r.tex").mkdir()
    for report_name, sentence in (
        ("pairs.html", "--report pairs.html also writes pairs.csv, but that is one of the files to evaluate"),
        ("r.html", "--report r.html also writes r.tex, but that is a folder"),
    ):
        assert main(["--pairs", "pairs.csv", "--metrics", "flicker", "--report", report_name]) == 2
        assert sentence in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs.csv", "r.tex"]


def test_the_protocol_says_how_clips_were_paired_and_their_frame_rates(place, plain, tmp_path):
    made, real, frames = (
        gather(place / "ours"),
        gather(place / "real"),
        gather(frames_in(tmp_path / "a", moving_picture(3))),
    )
    chosen = choose(["psnr"])

    def protocol(generated, reference, **options):
        found = evaluate(generated, reference, chosen, plain, **options)
        return report.describe(Comparison({"": found}), plain).protocol

    paired = protocol(made, real)
    assert paired["pairs"].startswith("generated and real clips of the same name, each generated frame with")
    assert paired["generated"] == paired["real"] == "25 fps (3 clips)"
    assert protocol(frames, real[:1])["pairs"].startswith("the one generated clip with the one real clip")
    assert protocol(frames, None)["generated"] == "25 fps, as given by --frame-rate (1 clip)"
    assert protocol(made, real, unpaired=True)["pairs"] == "none: 3 generated and 3 real clips, compared as sets"

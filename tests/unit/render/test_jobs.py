"""A list of jobs: all are checked before the first begins, one that fails stops no other, and a rerun does the rest."""

import csv
import json
import shutil
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from echomimic_core.files.addresses import Address, save_text
from echomimic_core.render import ClipSettings, __main__, prepared, read_jobs
from echomimic_core.render.clip import size_of
from echomimic_core.render.jobs import KNOWN, Job, Unusable
from echomimic_core.render.make import at_hand, check_job
from echomimic_core.render.output import open_output
from echomimic_core.sampling.speed import PRESETS, SpeedOptions

MODEL = Path(__file__).resolve().parents[3] / "demo" / "models" / "nano.safetensors"


@pytest.fixture
def files(tmp_path):
    """A folder with a picture, two voices and a file that is neither."""
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "face.png")
    for name in ("one", "two"):
        write_sound(tmp_path / f"{name}.wav", 1600)
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


def write_sound(path, samples):
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(16000)
        sound.writeframes(np.zeros(samples, np.int16).tobytes())


def write_list(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, sorted({key for row in rows for key in row}))
            writer.writeheader(), writer.writerows(rows)
    return path


@pytest.fixture
def command(files, monkeypatch):
    """The command with networks that only write names: (exit code, videos rendered)."""
    rendered = []

    def render_job(models, job, progress):
        if "broken" in job.output.name:
            raise ValueError("this voice cannot be used")
        rendered.append(job.output.name)
        save_text(job.output, "video")

    monkeypatch.setattr(__main__, "load_models", lambda *_, **__: SimpleNamespace(size=64))
    monkeypatch.setattr(__main__, "render_job", render_job)

    def run(*arguments):
        rendered.clear()
        code = __main__.main(["--model", str(MODEL), "--out", str(files / "out"), *map(str, arguments)])
        return code, list(rendered)

    return run


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_list_names_files_beside_it_and_flags_hold_for_all(files, ending):
    rows = [{"audio": "one.wav", "seed": 3, "output": "a.mp4"}, {"audio": "two.wav", "width": "128"}]
    first, second = read_jobs(
        write_list(files / f"jobs.{ending}", rows), files / "out", {"image": files / "face.png", "seed": 5}
    )
    assert first.audio == files / "one.wav" and first.output == files / "out" / "a.mp4"
    assert first.settings == ClipSettings(seed=3) and second.settings == ClipSettings(seed=5, width=128)
    assert second.output.name == "two.mp4" and second.image == files / "face.png"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"audio": "one.wav"}, "it has no image"),
        ({"image": "face.png", "audio": "one.wav", "sead": "1"}, "'sead' is unknown: did you mean 'seed'?"),
        ({"image": "face.png", "audio": "one.wav", "seed": "many"}, "seed is 'many', which is not a whole number"),
        ({"image": "face.png", "audio": "one.wav", "fps": "nan"}, "fps is 'nan', but it must be from 1 to 240"),
        ({"image": "face.png", "audio": "one.wav", "frames": 2.5}, "frames is 2.5, which is not a whole number"),
        ({"image": "face.png", "audio": "one.wav", "size": "big"}, "size is 'big', which is not a whole number"),
        ({"image": "face.png", "audio": "one.wav", "segment_frames": 12}, "0 or more than 12"),
        ({"image": "face.png", "audio": "one.wav", "crop": "perhaps"}, "crop is 'perhaps', but it must be yes or no"),
        ({"image": "face.png", "audio": "one.wav", "format": "gif"}, "one of mp4, prores, png"),
        ({"image": "face.png", "audio": "one.wav", "retarget": "six fingers"}, "one of off, five fingers, four"),
        (["face.png", "one.wav"], "is not a JSON object"),
    ],
)
def test_a_job_that_cannot_be_understood_is_named(files, row, words):
    rows = [{"image": "face.png", "audio": "two.wav"}, row]
    good, bad = read_jobs(write_list(files / "jobs.jsonl", rows), files)
    assert good.output.name == "two.mp4" and words in bad.reason and bad.output.endswith("jobs.jsonl, job 2")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"output": "a.mp4"}, {"output": "x/../A.mp4"}], "jobs 1 and 2 would write the same file"),
        ([{"output": "a.mp4"}, {"output": "face.png"}], "it would replace the input"),
    ],
)
def test_what_would_write_over_another_file_is_refused(files, rows, words):
    rows = [{"image": "face.png", "audio": "one.wav", **row} for row in rows]
    good, bad = read_jobs(write_list(files / "jobs.csv", rows), files)
    assert good.output.name == "a.mp4" and words in bad.reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,audoi\nface.png,one.wav\n", "the column 'audoi' is unknown: did you mean 'audio'?"),
        ("image,audio\n", "contains no jobs"),
        ("", "contains no jobs"),
        ('image,audio\nface.png,"one.wav\n', "is not a CSV file"),
        ("image,audio\nfäce.png,one.wav\n".encode("cp1252"), "is not UTF-8 text: save it as CSV UTF-8"),
    ],
)
def test_a_list_that_is_none_is_a_sentence(files, command, capsys, text, words):
    path = files / "jobs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert command(path) == (2, []) and words in capsys.readouterr().err


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_excel_is_read(files, separator):
    lines = ["\ufeffimage, audio ,seed,", "face.png,one.wav,3,", ",,,", "face.png,,4,", "face.png,two.wav,5,,x"]
    (files / "jobs.csv").write_text("\r\n".join(lines).replace(",", separator), encoding="utf-8")
    good, empty, wide = read_jobs(files / "jobs.csv", files / "out")
    assert good.settings.seed == 3 and good.audio == files / "one.wav"
    assert empty == Unusable(f"{files / 'jobs.csv'}, job 2", "it has no audio") and "more cells" in wide.reason


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"audio": "three.wav"}, "three.wav does not exist"),
        ({"audio": "text.wav"}, "text.wav"),
        ({"audio": "one.wav", "width": 100}, "100x100 pixels are not multiples of 8"),
        ({"audio": "one.wav", "image": "one.wav"}, "one.wav cannot be read as a picture"),
    ],
)
def test_a_job_that_cannot_begin_is_named_first_and_stops_no_other(files, command, capsys, row, words):
    rows = [{"image": "face.png", "audio": "two.wav"}, {"image": "face.png", "output": "bad.mp4", **row}]
    assert command(write_list(files / "jobs.jsonl", rows), "--dry-run") == (1, [])
    assert words in capsys.readouterr().err
    assert command(write_list(files / "jobs.jsonl", rows)) == (1, ["two.mp4"])
    said = capsys.readouterr()
    assert said.err.startswith("failed: ") and "bad.mp4" in said.err and "1 of 2 videos made" in said.out


def test_a_job_that_fails_stops_no_other_and_a_rerun_makes_what_is_missing(files, command, capsys):
    rows = [{"image": "face.png", "audio": "one.wav", "output": name} for name in ("a.mp4", "broken.mp4", "c.mp4")]
    jobs = write_list(files / "jobs.csv", rows)
    assert command(jobs, "--dry-run") == (0, [])
    assert command(jobs) == (1, ["a.mp4", "c.mp4"])
    assert "failed" in (said := capsys.readouterr()).err and "2 of 3 videos made" in said.out
    (files / "out" / "c.mp4").unlink()
    assert command(jobs, "--resume") == (1, ["c.mp4"])
    journal = [json.loads(line) for line in (files / "out" / "journal.jsonl").read_text("utf-8").splitlines()]
    assert [("failed" in entry) for entry in journal] == [False, True, False]
    # A run that is killed after a video and before its line, with segments beside it.
    (files / "out" / "journal.jsonl").write_text(json.dumps({"output": str(files / "out" / "a.mp4"), "failed": "?"}))
    (files / "out" / "c.mp4.segments").mkdir()
    assert command(jobs, "--resume") == (1, [])
    journal = [json.loads(line) for line in (files / "out" / "journal.jsonl").read_text("utf-8").splitlines()]
    assert [(Path(entry["output"]).name, "failed" in entry) for entry in journal] == [
        *(("a.mp4", False), ("c.mp4", False), ("broken.mp4", True)),
    ]
    assert not (files / "out" / "c.mp4.segments").exists()


def test_a_run_that_is_stopped_says_how_to_go_on(files, command, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "render_job", stop)
    assert command("--image", files / "face.png", "--audio", files / "one.wav")[0] == 130
    assert "--resume" in capsys.readouterr().err


def test_files_come_from_addresses_and_the_video_goes_to_one(files, command, capsys, monkeypatch):
    bucket = pytest.importorskip("fsspec").filesystem("memory")
    bucket.put([str(files / name) for name in ("face.png", "one.wav", "two.wav")], "/studio/")
    (files / "far.csv").write_text("audio,output\nmemory://studio/one.wav,\nmemory://studio/none.wav,gone.mp4\n")
    bucket.put_file(str(files / "far.csv"), "/studio/far.csv")
    monkeypatch.setattr(__main__, "render_job", lambda models, job, _: make_near(job, made))
    made, run = [], ["--image", "memory://studio/face.png", "--out", "memory://studio/out"]
    try:
        assert command(*run, "memory://studio/far.csv")[0] == 1
        said = capsys.readouterr()
        assert "1 of 2 videos made, 1 failed" in said.out and "memory://studio/none.wav does not exist" in said.err
        assert command(*run, "--audio", "memory://studio", "--resume")[0] == 0
        assert made == ["face.png one.wav one.mp4", "face.png two.wav two.mp4"]
        assert bucket.cat_file("/studio/out/one.mp4") == b"video"
        journal = [json.loads(line) for line in bucket.cat_file("/studio/out/journal.jsonl").decode().splitlines()]
        names = ("gone", "one", "two")
        assert [entry["output"] for entry in journal] == [f"memory://studio/out/{name}.mp4" for name in names]
        assert command(*run, "--audio", "memory://studio/one.wav", "--format", "png")[0] == 1
        assert "cannot appear whole at an address" in capsys.readouterr().err
    finally:
        bucket.rm("/studio", recursive=True)


def make_near(job, made):
    """A video of a job whose files are on this machine meanwhile."""
    with at_hand(job) as near:
        made.append(" ".join(path.name for path in (near.image, near.audio, near.output)))
        assert near.image.is_file() and near.audio.is_file()
        save_text(near.output, "video")


def test_a_video_that_fails_is_not_put_to_its_address(files):
    bucket = pytest.importorskip("fsspec").filesystem("memory")
    job = Job(files / "face.png", files / "one.wav", Address("memory://studio/one.mp4"))
    with pytest.raises(ValueError), at_hand(job) as near:
        save_text(near.output, "half")
        raise ValueError("out of ink")
    assert not bucket.exists("/studio/one.mp4")


def test_settings_of_align_pose_and_shortcuts_are_those_of_the_nodes(files, command):
    row = {"retarget": "four fingers", "framing": "original", "fill": "edge", "fit_hands": "no", "size": "64x128"}
    row |= {"reuse_steps": "2", "merge_reference": 2, "guidance_end": "off"}
    rows = [{"image": "face.png", "audio": "one.wav", **row}]
    (job,) = read_jobs(write_list(files / "jobs.jsonl", rows), files / "out")
    speed = SpeedOptions((True, True, False), 2, 2)
    aligned = {"framing": "original", "fill": "edge", "fit_hands": False, "retarget": "four fingers"}
    assert job.settings == ClipSettings(width=64, height=128, **aligned, speed=speed)
    flags = ["--retarget", "four fingers", "--no-fit-hands", "--no-guidance-end", "--reuse-steps", 2, "--quality", 0]
    given = __main__.parser().parse_args(["--model", "m", "--image", "a", "--audio", "b", *map(str, flags)])
    (job,) = __main__.asked(given, {name: getattr(given, name) for name in KNOWN if getattr(given, name) is not None})
    assert job.settings.retarget == "four fingers" and not job.settings.fit_hands and job.quality == 0
    assert job.settings.speed == SpeedOptions((True, True, False), 2, 1)


def test_a_preset_takes_the_place_of_single_shortcuts(files):
    both = {"image": "face.png", "audio": "one.wav", "preset": "fast"}
    rows = [both, {**both, "reuse_steps": 2, "output": "b"}, {**both, "preset": "quick", "output": "c"}]
    fast, double, unknown = read_jobs(write_list(files / "jobs.jsonl", rows), files / "out")
    assert fast.settings.speed == PRESETS["fast"]
    assert "preset and reuse_steps exclude each other" in double.reason
    assert "must be one of exact, fast, fastest" in unknown.reason


def test_the_size_is_that_of_the_model_or_square():
    assert size_of(ClipSettings(), 768) == (768, 768) and size_of(ClipSettings(height=512), 768) == (512, 512)


def test_a_folder_of_pictures_and_one_of_voices_are_paired(files, command, capsys):
    (files / "faces").mkdir()
    for name in ("ann", "ben"):
        shutil.copy(files / "face.png", files / "faces" / f"{name}.png")
    code, made = command("--image", files / "faces", "--audio", files)
    assert code == 1 and made == ["ann_one.mp4", "ann_two.mp4", "ben_one.mp4", "ben_two.mp4"]
    assert "text.wav" in capsys.readouterr().err
    journal = [json.loads(line) for line in (files / "out" / "journal.jsonl").read_text("utf-8").splitlines()]
    assert [Path(entry["output"]).name for entry in journal if "failed" not in entry] == made
    assert [Path(entry["output"]).name for entry in journal if "failed" in entry] == ["ann_text.mp4", "ben_text.mp4"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"crop": "yes", "framing": "original"}, "framing and fill have no effect"),
        ({"audio": "silent.wav"}, "silent.wav contains no audio"),
        ({"audio": "empty.wav"}, "empty.wav"),
        ({"turns": "five.txt"}, "has 5 speakers, but at most 4"),
        ({"turns": "channels"}, "the audio has one channel"),
        ({"output": "face.png/a.mp4"}, "face.png is a file, not a folder"),
        ({"output": "", "format": "png"}, "contains other files"),
        ({"pose": "face.png", "gestures": "face.png"}, "hands come from one of them"),
        ({"turns": "one.wav"}, "."),
    ],
)
def test_what_would_stop_a_job_is_known_before(files, row, words):
    write_sound(files / "silent.wav", 0)
    (files / "empty.wav").touch()
    (files / "five.txt").write_text("".join(f"{name} 0 1\n" for name in "abcde"))
    (files / "out" / "one").mkdir(parents=True)
    (files / "out" / "one" / "holiday.jpg").touch()
    (files / "out" / "face.png").touch()
    rows = [{"image": "face.png", "audio": "one.wav", **row}]
    with pytest.raises((ValueError, OSError), match=words):
        check_job(*read_jobs(write_list(files / "jobs.jsonl", rows), files / "out"))


def test_a_prepared_data_set_is_made_again_clip_by_clip(files, monkeypatch, capsys):
    pytest.importorskip("cv2")
    import training_clips

    folder, made = training_clips.two_clips(files / "prepared"), []
    monkeypatch.setattr(__main__, "load_models", lambda *_, **__: SimpleNamespace(size=64))
    monkeypatch.setattr(prepared, "clip", lambda _, picture, voice, pose, settings, __: frames_like(settings, made))
    run = ["--model", "m.safetensors", "--out", str(files / "out"), "--prepared", str(folder)]
    assert __main__.main([*run, "--audio", "one.wav"]) == 2 and "includes its own audio" in capsys.readouterr().err
    assert __main__.main([*run, "--seed", "3", "--format", "png"]) == 0
    names = sorted(path.name for path in (files / "out").iterdir() if path.is_dir())
    assert len(made) == len(names) == 2 and all(settings.seed == 3 and not settings.align for settings in made)


def frames_like(settings, made):
    made.append(settings)
    return iter(np.zeros((settings.frames, settings.height, settings.width, 3), np.uint8))


def test_a_dry_run_says_how_long_each_clip_is(files, command, capsys):
    assert command("--image", files / "face.png", "--audio", files / "one.wav", "--dry-run", "--steps", 3) == (0, [])
    said = capsys.readouterr().out
    assert "one.mp4: 2 frames, 3 steps each, size 128, about 0." in said and "GiB of memory" in said
    assert "time unknown: --warm-up measures it" in said


@pytest.mark.parametrize("kind", ["mp4", "prores", "png"])
def test_every_format_is_written_whole_or_not_at_all(tmp_path, kind):
    frames = np.zeros((2, 16, 16, 4 if kind == "prores" else 3), np.uint8)
    path, sound = tmp_path / "clip", (np.zeros((1, 1600), np.float32), 16000)
    with open_output(path, kind, 24.0, 16, 16, sound, None) as writer:
        writer.write(frames)
    assert path.exists() and (kind != "png" or sorted(file.name for file in path.iterdir())[-1] == "sound.wav")
    path = tmp_path / "other"
    with pytest.raises(KeyError), open_output(path, kind, 24.0, 16, 16, sound, None) as writer:
        writer.write(frames)
        raise KeyError
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip"]

"""A list of jobs: all are checked before the first begins, one that fails stops no other, and a rerun does the rest."""

import csv
import json
import shutil
import wave
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from echomimic_core.render import ClipSettings, __main__, read_jobs
from echomimic_core.render.clip import size_of
from echomimic_core.render.jobs import check_job
from echomimic_core.render.output import open_output


@pytest.fixture
def files(tmp_path):
    """A folder with a picture, two voices and a file that is neither."""
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "face.png")
    for name in ("one", "two"):
        with wave.open(str(tmp_path / f"{name}.wav"), "wb") as sound:
            sound.setnchannels(1), sound.setsampwidth(2), sound.setframerate(16000)
            sound.writeframes(np.zeros(1600, np.int16).tobytes())
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


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
        job.output.parent.mkdir(exist_ok=True)
        job.output.touch()

    monkeypatch.setattr(__main__, "load_models", lambda *_, **__: SimpleNamespace(size=64))
    monkeypatch.setattr(__main__, "render_job", render_job)

    def run(*arguments):
        rendered.clear()
        code = __main__.main(["--model", "m.safetensors", "--out", str(files / "out"), *map(str, arguments)])
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
        ({"audio": "one.wav"}, "job 1: it has no image"),
        ({"image": "face.png", "audio": "one.wav", "sead": "1"}, "'sead' is unknown"),
        ({"image": "face.png", "audio": "one.wav", "seed": "many"}, "seed is 'many', which is not a number"),
    ],
)
def test_a_job_that_cannot_be_understood_is_named(files, row, words):
    with pytest.raises(ValueError, match=words):
        read_jobs(write_list(files / "jobs.jsonl", [row]), files)


def test_two_jobs_of_one_name_are_refused(files):
    rows = [{"image": "face.png", "audio": "one.wav"}] * 2
    with pytest.raises(ValueError, match="two jobs would write .*one.mp4"):
        read_jobs(write_list(files / "jobs.csv", rows), files)


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


def test_a_run_that_is_stopped_says_how_to_go_on(files, command, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "render_job", stop)
    assert command("--image", files / "face.png", "--audio", files / "one.wav")[0] == 130
    assert "--resume" in capsys.readouterr().err


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
    assert [entry["output"].rsplit("/")[-1] for entry in journal] == made


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"crop": "perhaps"}, "crop is 'perhaps', but it must be yes or no"),
        ({"format": "gif"}, "the format is 'gif', but it must be one of mp4, prores, png"),
        ({"pose": "face.png", "gestures": "face.png"}, "hands come from one of them"),
        ({"turns": "one.wav"}, "."),
    ],
)
def test_settings_of_a_scene_are_checked(files, row, words):
    rows = [{"image": "face.png", "audio": "one.wav", **row}]
    with pytest.raises(ValueError, match=words):
        check_job(*read_jobs(write_list(files / "jobs.jsonl", rows), files / "out"))


def test_a_prepared_data_set_is_made_again_clip_by_clip(files, monkeypatch, capsys):
    pytest.importorskip("cv2")
    import training_clips

    folder, made = training_clips.two_clips(files / "prepared"), []
    monkeypatch.setattr(__main__, "load_models", lambda *_, **__: SimpleNamespace(size=64))
    monkeypatch.setattr(__main__, "clip", lambda _, picture, voice, pose, settings, __: frames_like(settings, made))
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
    assert "one.mp4: 2 frames, 3 steps each" in capsys.readouterr().out


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

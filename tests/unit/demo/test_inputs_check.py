"""What the demo says of inputs that cannot work: one sentence with the user's own path, before anything is started."""

import json
import sys
import wave
from argparse import Namespace
from pathlib import Path

import av
import numpy as np
import pytest

demo = Path(__file__).resolve().parents[3] / "demo"
if not demo.is_dir():
    pytest.skip("the demo is left out of this copy", allow_module_level=True)

import inputs_check  # noqa: E402
from comfy_setup import SetupError  # noqa: E402

INPUTS = demo / "inputs"


@pytest.fixture
def options():
    """Options of the demo that work; what is given replaces one."""

    def make(**changed) -> Namespace:
        good = {
            "image": INPUTS / "character.png",
            "audio": INPUTS / "speech.flac",
            "pose": INPUTS / "gesture.json",
            "output": None,
            "width": None,
            "height": None,
            "frames": 0,
            "model": None,
        }
        return Namespace(**good | changed)

    return make


def refused(options: Namespace, folder: Path) -> str:
    with pytest.raises(SetupError) as error:
        inputs_check.check_options(options, folder)
    return str(error.value)


def test_good_options_pass_and_paths_become_absolute(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me.png").write_bytes(b"x")
    given = options(image=Path("me.png"), output=Path("new/folder/me.mp4"), width=64, height=2048)
    inputs_check.check_options(given, tmp_path)
    assert given.image == (tmp_path / "me.png").resolve()
    assert not (tmp_path / "new").exists()  # Nothing is made before there is a video


def test_size_zero_means_the_models_own_size(options, tmp_path):
    inputs_check.check_options(options(width=0, height=0), tmp_path)


@pytest.mark.parametrize("width", [-8, 56, 100, 2056])
def test_sizes_that_reference_encode_refuses(options, tmp_path, width):
    text = refused(options(width=width), tmp_path)
    assert f"--width is {width}" in text and "multiple of 8 from 64 to 2048" in text


@pytest.mark.parametrize("name", ["image", "audio", "output"])
def test_a_folder_where_a_file_is_wanted(options, tmp_path, name):
    text = refused(options(**{name: tmp_path}), tmp_path)
    assert f"--{name} is {tmp_path}, but that is a folder" in text


@pytest.mark.parametrize("name", ["image", "audio", "pose", "model"])
def test_a_missing_file_is_named(options, tmp_path, name):
    missing = tmp_path / "gone.safetensors"
    text = refused(options(**{name: missing if name != "model" else str(missing)}), tmp_path)
    assert f"--{name} is {missing}" in text


@pytest.mark.parametrize("name", ["image", "audio", "pose"])
def test_an_empty_file_is_refused(options, tmp_path, name):
    empty = tmp_path / "empty.json"
    empty.touch()
    assert "the file is empty" in refused(options(**{name: empty}), tmp_path)


POSES = {
    "one frame": ("3.npy", b"x", "one frame of a pose: give its folder"),
    "a video": ("me.mp4", b"x", "this is no pose"),
    "no JSON": ("bad.json", b"{,", "this is not JSON"),
    "binary JSON": ("bad.json", b"\xff\xfe\x00", "this is not JSON"),
    "a list": ("bad.json", b"[1, 2]", "no pose file"),
    "a workflow": ("bad.json", b'{"nodes": []}', "no pose file"),
}


@pytest.mark.parametrize(("name", "content", "expected"), POSES.values(), ids=POSES)
def test_files_that_are_not_poses_are_refused(options, tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    text = refused(options(pose=tmp_path / name), tmp_path)
    assert expected in text and str(tmp_path / name) in text


def test_without_a_pose_nothing_is_said_of_it(options, tmp_path):
    inputs_check.check_options(options(pose=None), tmp_path)
    inputs_check.check_files(options(pose=None), Path(sys.executable))


def test_a_pose_folder_without_poses_is_refused(options, tmp_path):
    assert "no .npy file in this folder" in refused(options(pose=tmp_path), tmp_path)


def test_outputs_that_cannot_be_written(options, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "old.mp4").touch()
    assert "nothing can be written" in refused(options(output=tmp_path / "file" / "me.mp4"), tmp_path)
    assert "nothing is overwritten" in refused(options(output=tmp_path / "old.mp4"), tmp_path)
    assert "let its name end so" in refused(options(output=tmp_path / "me.avi"), tmp_path)


def test_an_output_folder_that_refuses_files(options, tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(inputs_check.tempfile, "TemporaryFile", refuse)
    text = refused(options(output=tmp_path / "new" / "me.mp4"), tmp_path)
    assert f"nothing can be written to {tmp_path} (Permission denied)" in text
    assert "The video's folder" in refused(options(), tmp_path)  # The default one as well


def test_all_wrong_options_are_said_at_once(options, tmp_path):
    text = refused(options(width=3, image=tmp_path, frames=-1, model="tiny"), tmp_path)
    assert [line.split(" ")[0] for line in text.splitlines()] == ["--width", "--image", "--model", "--frames"]


def test_a_released_file_is_no_one_file_model(options, tmp_path):
    weights = tmp_path / "denoising_unet_acc.pth"
    weights.write_bytes(b"x")
    assert "--model accelerated" in refused(options(model=str(weights)), tmp_path)


def looked_at(options: Namespace) -> str:
    with pytest.raises(SetupError) as error:
        inputs_check.check_files(options, Path(sys.executable))
    return str(error.value)


def write_sound(path: Path, samples: np.ndarray, rate: int = 8000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def write_silent_film(path: Path) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        file.mux([*stream.encode(frame), *stream.encode()])
    return path


def test_files_of_the_demo_are_sound(options, capsys):
    inputs_check.check_files(options(), Path(sys.executable))
    assert capsys.readouterr().out == ""


def test_every_broken_file_is_named(options, tmp_path):
    text = tmp_path / "a text.png"
    text.write_text("not a picture")
    pose = tmp_path / "pose.json"
    pose.write_text(json.dumps({"format": "echomimicv2-pose", "version": 1, "hands": [1]}))
    film = write_silent_film(tmp_path / "film.mp4")
    picture, sound, hands = looked_at(options(image=text, audio=film, pose=pose)).splitlines()
    assert f"--image is {text}" in picture and "not a picture" in picture
    assert f"--audio is {film}" in sound and "without sound" in sound
    assert f"--pose is {pose}" in hands and "shape" in hands


def test_a_truncated_picture_is_refused(options, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes((INPUTS / "character.png").read_bytes()[:5000])
    assert "damaged or not complete" in looked_at(options(image=cut))


def test_files_without_sound_are_refused(options, tmp_path):
    text = tmp_path / "voice.wav"
    text.write_text("not a sound")
    assert "no sound can be read" in looked_at(options(audio=text))
    nothing = write_sound(tmp_path / "nothing.wav", np.zeros(0))
    assert str(nothing) in looked_at(options(audio=nothing))


def test_a_gap_in_a_pose_folder_is_named(options, tmp_path):
    for number in (0, 2):
        (tmp_path / f"{number}.npy").write_bytes(b"x")
    assert "1.npy" in looked_at(options(pose=tmp_path))


def test_silent_and_long_voices_are_mentioned_only(options, tmp_path, capsys):
    silent = write_sound(tmp_path / "silent.wav", np.zeros(8000 * 660))
    inputs_check.check_files(options(audio=silent), Path(sys.executable))
    said = capsys.readouterr().out
    assert "is silent" in said and "11 minutes long" in said


def test_a_quiet_click_is_no_silence(options, tmp_path, capsys):
    click = np.zeros(8000)
    click[100] = 300
    inputs_check.check_files(options(audio=write_sound(tmp_path / "click.wav", click)), Path(sys.executable))
    assert capsys.readouterr().out == ""

"""The demo's command around ComfyUI: what it says before the start, and that nothing of the user's is overwritten."""

import sys
from pathlib import Path

import pytest

if not (Path(__file__).resolve().parents[3] / "demo").is_dir():
    pytest.skip("the demo is left out of this copy", allow_module_level=True)

import run  # noqa: E402
from comfy_setup import CPU_ARGUMENTS, Installation  # noqa: E402
from model_choice import Choice  # noqa: E402


def test_reports_of_nodes_are_told_and_files_are_not():
    shown = {"33": {"text": ["as given: 0 of 100"], "images": [{"filename": "a.png"}]}, "9": {"images": []}}
    assert run.reports_of({"outputs": shown}) == ["as given: 0 of 100"]


class Stopped(Exception):
    pass


@pytest.fixture
def started(tmp_path, monkeypatch, capsys):
    """What is said until ComfyUI would start, with a model of the released size or not, on a GPU or not."""

    def start(released: bool, device: tuple[str, ...]) -> str:
        def server(installation, base, arguments):
            assert arguments[1:] == (str(base / "models.yaml"), *device)
            raise Stopped

        choice = Choice("accelerated", {}, released, "model: accelerated")
        monkeypatch.setattr(sys, "argv", ["run.py"])
        monkeypatch.setattr(run, "check_files", lambda options, python: None)
        monkeypatch.setattr(run, "choose", lambda *arguments: choice)
        monkeypatch.setattr(run, "device_arguments", lambda python: device)
        monkeypatch.setattr(run, "ComfyServer", server)
        with pytest.raises(Stopped):
            run.make_video(run.parse_arguments(), Installation(tmp_path, Path(sys.executable)), tmp_path)
        return capsys.readouterr().out

    return start


def test_hours_are_announced_only_for_a_large_model_without_a_gpu(started):
    assert "hours on a CPU" in started(True, CPU_ARGUMENTS)
    assert "hours" not in started(True, ())
    assert "hours" not in started(False, CPU_ARGUMENTS)


def test_a_wrong_option_ends_the_command_before_anything_is_set_up(monkeypatch, capsys):
    monkeypatch.setattr(run, "prepare", lambda: pytest.fail("ComfyUI was set up"))
    monkeypatch.setattr(sys, "argv", ["run.py", "--width", "100"])
    assert run.main() == 1
    assert capsys.readouterr().err.startswith("--width is 100")


def test_a_full_disk_is_a_sentence(monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device", "models.yaml")

    monkeypatch.setattr(run, "prepare", full)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert run.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("The demo had to stop") and "No space left" in said and len(said.splitlines()) == 1


def test_videos_get_new_names_and_keep_old_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "OUTPUT", tmp_path / "output")
    for number in (1, 2):
        made = tmp_path / "made.mp4"
        made.write_bytes(bytes([number]))
        assert run.keep(made, None) == tmp_path / "output" / f"talking_00{number}.mp4"
    assert (tmp_path / "output" / "talking_001.mp4").read_bytes() == b"\x01"


def test_a_video_that_cannot_be_kept_stays_where_it_is(tmp_path, monkeypatch):
    made, wanted = tmp_path / "made.mp4", tmp_path / "wanted.mp4"
    for path in (made, wanted):
        path.write_bytes(path.name.encode())
    with pytest.raises(run.SetupError, match=r"wanted.mp4 already exists.*The video lies in .*made.mp4"):
        run.keep(made, wanted)
    wanted.unlink()

    def full(source, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(run.shutil, "copyfile", full)
    with pytest.raises(run.SetupError, match=r"the disk is full.*The video lies in .*made.mp4"):
        run.keep(made, wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["made.mp4"]


def test_an_input_replaces_an_earlier_one_of_its_name(tmp_path):
    """Poses of two folders never mix."""
    folder = tmp_path / "input"
    folder.mkdir()
    for place, name in (("a", "0.npy"), ("b", "1.npy")):
        (tmp_path / place / "pose").mkdir(parents=True)
        (tmp_path / place / "pose" / name).touch()
        assert run.add_input(tmp_path / place / "pose", folder) == "pose"
    assert [path.name for path in (folder / "pose").iterdir()] == ["1.npy"]
    assert run.add_input(folder / "pose", folder) == "pose" and (folder / "pose" / "1.npy").exists()


def test_a_pose_takes_the_place_of_the_hands_from_the_voice():
    prompt = {
        "5": {"class_type": "EchoMimicV2VoiceGestures", "inputs": {"audio": ["7", 1], "seed": 0}},
        "33": {"class_type": "EchoMimicV2AlignPose", "inputs": {"pose": ["5", 0]}},
    }
    run.take_pose(prompt, "01")
    assert prompt["5"]["class_type"] == "EchoMimicV2LoadPose" and prompt["5"]["inputs"]["folder"] == "01"
    assert prompt["33"]["inputs"]["pose"] == ["5", 0]

"""Batch Folder in a real ComfyUI: ten voices, one of them broken, queued ten times and as one list."""

import shutil

import pytest
from comfy_server import WorkflowError
from test_voice_gestures import node, write_wave

from echomimic_core.pose import files

BROKEN = 6


@pytest.fixture(scope="module")
def voices(comfy, tmp_path_factory):
    """A folder of ten voices in ComfyUI's input folder, the seventh of them text."""
    import numpy as np

    folder = comfy.base / "input" / "voices"
    folder.mkdir()
    for number in range(10):
        write_wave(folder / f"voice {number}.wav", np.sin(np.arange(8000 + 800 * number) / 20))
    (folder / f"voice {BROKEN}.wav").write_text("no sound")
    (folder / "notes.txt").write_text("not a voice")
    yield folder.name
    shutil.rmtree(folder)


def batch(voices: str, **inputs) -> dict:
    """Nodes that give hands to the voices of a folder, and save each pose under the voice's name."""
    given = {"folder": voices, "kind": "audio", "index": 0, "files": "one per run", **inputs}
    hands = {"frames": 4, "fps": 24.0, "seed": 0, "energy": 1.0, "variety": 0.5, "rest": 0.5, "keep": "hands"}
    return {
        "1": {"class_type": "EchoMimicV2BatchFolder", "inputs": given},
        "2": node("EchoMimicV2VoiceGestures", audio=["1", 0], **hands),
        "3": node("EchoMimicV2SavePose", pose=["2", 0], filename=["1", 3], format="safetensors"),
        "4": node("PreviewAny", source=["1", 4]),
    }


def saved(comfy, prompt: dict) -> list[str]:
    outputs = comfy.run(prompt)["outputs"]
    assert outputs["4"]["text"] == ["10"]
    return [text.removeprefix("saved as ") for text in outputs["3"]["text"]]


def test_each_run_has_its_own_file_name_and_failure(comfy, voices):
    made, failed = [], []
    for index in range(10):
        try:
            made += saved(comfy, batch(voices, index=index))
        except WorkflowError as error:
            failed.append((index, str(error)))
    assert [name.split("/")[-1].split("_")[0] for name in made] == [f"voice {n}" for n in range(10) if n != BROKEN]
    assert all(len(files.load(comfy.base / "output" / name)) == 4 for name in made)
    ((index, words),) = failed
    assert index == BROKEN and f"voice {BROKEN}.wav" in words and "Traceback" not in words


def test_in_a_list_a_file_that_cannot_be_read_stops_only_itself(comfy, voices):
    made = saved(comfy, batch(voices, files="all in one run", index=99))
    assert [name.split("/")[-1].split("_")[0] for name in made] == [f"voice {n}" for n in range(10) if n != BROKEN]
    assert any(f"voice {BROKEN}.wav" in line and "left out" in line for line in comfy.log_text().splitlines())


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"index": 10}, "the 10 files end at 9: all are done"),
        ({"folder": "nowhere"}, "there is no folder 'nowhere'"),
        ({"kind": "image"}, "there is no image file in"),
    ],
)
def test_what_cannot_be_loaded_is_a_sentence(comfy, voices, inputs, words):
    with pytest.raises(WorkflowError, match=words):
        comfy.run(batch(voices, **inputs))


def test_what_hangs_on_the_output_of_another_kind_does_not_run(comfy, voices):
    prompt = batch(voices)
    prompt["5"] = node("PreviewImage", images=["1", 1])
    assert "5" not in comfy.run(prompt)["outputs"]


def test_pictures_come_upright_and_opaque(comfy):
    folder = comfy.base / "input" / "faces"
    folder.mkdir()
    shutil.copy(comfy.base / "input" / "character.png", folder)
    prompt = {
        "1": batch("faces", kind="image")["1"],
        "2": node("PreviewImage", images=["1", 1]),
    }
    assert len(comfy.run(prompt)["outputs"]["2"]["images"]) == 1

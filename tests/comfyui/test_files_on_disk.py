"""Files in a real ComfyUI: what was replaced is loaded anew, nothing is overwritten, and bad names are sentences."""

import os

import pytest
from comfy_server import WorkflowError
from comfy_workflow import change
from prompts import small

from echomimic_core.models.build import write_tiny_model


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


LIBRARY = node("EchoMimicV2PoseLibrary", gesture="idle", frames=8, fps=24.0, mirror=False, energy=1.0, seed=0)


def save_pose(filename: str, ending: str = "json") -> dict:
    return {"1": LIBRARY, "2": node("EchoMimicV2SavePose", pose=["1", 0], filename=filename, format=ending)}


def cached(entry: dict) -> set[str]:
    """Ids of the nodes that ComfyUI took from its cache."""
    (known,) = (message[1]["nodes"] for message in entry["status"]["messages"] if message[0] == "execution_cached")
    return set(known)


def test_a_model_file_replaced_under_its_name_is_loaded_anew(comfy, object_info):
    path = comfy.base / "models" / "echomimic" / "replaced.safetensors"
    write_tiny_model(path, seed=1)
    prompt = change(small("talking_picture", object_info, frames=2), "EchoMimicV2Loader", model=path.name)
    loader = next(id for id, item in prompt.items() if item["class_type"] == "EchoMimicV2Loader")
    comfy.run(prompt)
    assert loader in cached(comfy.run(prompt)), "the same file is not loaded again"
    write_tiny_model(path, seed=2)
    os.utime(path, ns=(1, 1))
    assert loader not in cached(comfy.run(prompt)), "the old weights were used"
    path.unlink()


@pytest.mark.parametrize("ending", ("json", "safetensors"))
def test_a_pose_is_saved_under_the_next_number(comfy, ending):
    for seed in (1, 2):
        prompt = save_pose("twice", ending)
        prompt["1"] = node("EchoMimicV2PoseLibrary", **{**LIBRARY["inputs"], "seed": seed})
        comfy.run(prompt)
    saved = sorted(path.name for path in (comfy.base / "output" / "poses").glob(f"twice_*.{ending}"))
    assert len(saved) == 2
    assert not [path for path in (comfy.base / "output").rglob(".echomimic*")]


@pytest.mark.parametrize("filename", ["a:b", "x" * 300, "nul", "a\x00b", "folder/con", "end."])
def test_a_pose_under_a_name_that_some_system_cannot_hold_is_a_sentence(comfy, filename):
    with pytest.raises(WorkflowError, match="is not a file name"):
        comfy.run(save_pose(filename))

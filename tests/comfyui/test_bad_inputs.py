"""A wrong input in a real ComfyUI is a sentence that says what to do, and nothing is run, overwritten or lost."""

import os

import numpy as np
import pytest
from comfy_server import WorkflowError
from comfy_workflow import change
from prompts import small


def sentence(comfy, prompt: dict) -> str:
    with pytest.raises(WorkflowError) as refused:
        comfy.run(prompt)
    return str(refused.value)


WRONG_WIDGETS = {
    "no such pose": ("EchoMimicV2LoadPose", {"folder": "nowhere"}, "there is no pose 'nowhere'"),
    "a pose elsewhere": ("EchoMimicV2LoadPose", {"folder": "../../etc"}, "outside ComfyUI's own folders"),
    "an absolute pose": ("EchoMimicV2LoadPose", {"folder": "/etc"}, "outside ComfyUI's own folders"),
    "more pose than there is": ("EchoMimicV2LoadPose", {"frames": 9999}, "set frames to 0"),
    "released weights missing": ("EchoMimicV2Loader", {"model": "accelerated"}, "BadToBest/EchoMimicV2"),
    "model file missing": ("EchoMimicV2Loader", {"model": "gone.safetensors"}, "gone.safetensors is not in"),
    "audio encoder missing": ("EchoMimicV2Loader", {"audio_encoder": "gone.pt"}, "gone.pt"),
    "start beyond the voice": ("EchoMimicV2AudioEmbeds", {"start": 60.0}, "60"),
    "overlap as large as the window": (
        "EchoMimicV2Sampler",
        {"context_frames": 4, "context_overlap": 4},
        "context overlap is 4",
    ),
    "a VAE that is none": ("VAELoader", {"vae_name": "pixel_space"}, "sd-vae-ft-mse"),
}


@pytest.mark.parametrize(("kind", "inputs", "expected"), WRONG_WIDGETS.values(), ids=WRONG_WIDGETS)
def test_wrong_widget(comfy, object_info, kind, inputs, expected):
    prompt = change(small("talking_picture", object_info, frames=2), kind, **inputs)
    assert expected in sentence(comfy, prompt)


FILES = {
    "empty": (b"", "empty"),
    "a web page": (b"<!DOCTYPE html><html>", "web page"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "not complete": (None, "not complete"),
}


@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
def test_model_file_that_is_no_model(comfy, object_info, content, expected):
    folder = comfy.base / "models" / "echomimic"
    if content is None:
        content = (folder / "tiny.safetensors").read_bytes()[:100_000]
    (folder / "broken.safetensors").write_bytes(content)
    prompt = change(small("talking_picture", object_info), "EchoMimicV2Loader", model="broken.safetensors")
    message = sentence(comfy, prompt)
    assert expected in message and "broken.safetensors" in message


class Trap:
    """What a malicious pose file holds: reading it carelessly would make a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_malicious_pose_runs_nothing(comfy, object_info, tmp_path):
    sprung = tmp_path / "sprung"
    folder = comfy.base / "input" / "trap"
    folder.mkdir()
    np.save(folder / "0.npy", np.array({"hands": Trap(str(sprung))}, dtype=object), allow_pickle=True)
    prompt = change(small("talking_picture", object_info), "EchoMimicV2LoadPose", folder="trap")
    assert "could run a program" in sentence(comfy, prompt)
    assert not sprung.exists()


def test_voice_without_samples(comfy, object_info):
    prompt = small("talking_picture", object_info)
    (embeds,) = (node["inputs"] for node in prompt.values() if node["class_type"] == "EchoMimicV2AudioEmbeds")
    inputs = {"duration": 0.0, "sample_rate": 44100, "channels": 2}
    prompt["silence"] = {"class_type": "EmptyAudio", "inputs": inputs}
    embeds["audio"] = ["silence", 0]
    assert "the audio has no samples" in sentence(comfy, prompt)


@pytest.mark.parametrize("filename", ["../escaped", "/tmp/escaped", "a/../../b", ""])
def test_model_is_saved_nowhere_else(comfy, object_info, filename):
    prompt = small("talking_picture", object_info)
    loader = next(id for id, node in prompt.items() if node["class_type"] == "EchoMimicV2Loader")
    inputs = {"model": [loader, 0], "filename": filename, "weight_dtype": "auto"}
    prompt = {loader: prompt[loader], "save": {"class_type": "EchoMimicV2SaveModel", "inputs": inputs}}
    assert "file name" in sentence(comfy, prompt)

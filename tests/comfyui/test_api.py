"""Scripts and ComfyUI's own multi-GPU nodes: the script of docs/api.md at a real server, and what the nodes change."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from comfy_workflow import change
from prompts import small
from test_main_job import load_latent
from test_voice_gestures import write_wave

REPO = Path(__file__).resolve().parents[2]
DOCS = REPO / "docs" / "api.md"


def test_the_script_of_the_docs_works_off_a_folder_of_voices(comfy, object_info, tmp_path):
    pytest.importorskip("requests")
    script = tmp_path / "batch.py"
    script.write_text(DOCS.read_text("utf-8").split("```python\n")[1].split("```")[0], encoding="utf-8")
    prompt = small("talking_picture", object_info, frames=4, steps=1)
    (tmp_path / "talking.json").write_text(json.dumps(prompt), encoding="utf-8")
    voices = tmp_path / "voices"
    voices.mkdir()
    for name in ("api one", "api two"):
        write_wave(voices / f"{name}.wav", np.sin(np.arange(4000) / 20))
    (voices / "api broken.wav").write_text("no sound")
    command = [sys.executable, str(script), comfy.url, str(tmp_path / "talking.json"), str(voices)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=500)
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert done.returncode == 1 and sorted(said) == ["api broken.wav", "api one.wav", "api two.wav"], done.stderr
    assert said["api one.wav"] == said["api two.wav"] == "done" != said["api broken.wav"]
    made = sorted(path.name.split("_")[0] for path in (comfy.base / "output" / "batch").glob("api *.mp4"))
    assert made == ["api one", "api two"]


def test_on_one_device_the_multi_gpu_nodes_change_nothing(comfy, object_info):
    nodes = {"SelectModelDevice": {"device": "default"}, "MultiGPU_WorkUnits": {"max_gpus": 2}}
    if not set(nodes) <= set(object_info):
        pytest.skip("this ComfyUI has no multi-GPU nodes")

    def latents(between: dict):
        prompt = small("talking_picture", object_info, frames=4, steps=1, seed=3)
        change(prompt, "EchoMimicV2Loader", weight_dtype="float32")
        (sampler,) = (id for id, node in prompt.items() if node["class_type"] == "EchoMimicV2Sampler")
        for kind, inputs in between.items():
            model = prompt[sampler]["inputs"]["model"]
            prompt[kind] = {"class_type": kind, "inputs": {"model": model, **inputs}}
            prompt[sampler]["inputs"]["model"] = [kind, 0]
        for id in [id for id, node in prompt.items() if node["class_type"] == "SaveVideo"]:
            del prompt[id]
        prefix = {"filename_prefix": "multi" if between else "single"}
        prompt["latent"] = {"class_type": "SaveLatent", "inputs": {"samples": [sampler, 0], **prefix}}
        return load_latent(comfy.outputs(comfy.run(prompt)))

    assert (latents(nodes) == latents({})).all()

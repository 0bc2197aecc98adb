"""The templates' picture, voice and video are in ComfyUI's input folder; Align Pose finds the person in the picture."""

import json
from pathlib import Path

from comfy_workflow import change, to_prompt
from tiny_models import MODEL_NAME

REPO = Path(__file__).resolve().parents[2]
TEMPLATE = REPO / "workflows" / "EchoMimicV2_1_talking_photo_lip_sync_avatar.json"
EXAMPLES = (*(f"echomimicv2_example.{ending}" for ending in ("png", "flac", "mp4")), "echomimicv2_scene.png")
BYTES_IN_ALL = 300_000
GOOD_SCORE = 90


def test_the_examples_are_in_the_input_folder_and_small(comfy):
    files = [REPO / "workflows" / "inputs" / name for name in EXAMPLES]
    assert sum(file.stat().st_size for file in files) < BYTES_IN_ALL
    for file in files:
        assert (comfy.base / "input" / file.name).read_bytes() == file.read_bytes()


def test_the_first_template_runs_as_it_is_and_align_pose_scores_well(comfy, object_info):
    prompt = to_prompt(json.loads(TEMPLATE.read_text("utf-8")), object_info)
    change(prompt, "EchoMimicV2Loader", model=MODEL_NAME)
    change(prompt, "EchoMimicV2Sampler", frames=2)
    prompt["score"] = {"class_type": "PreviewAny", "inputs": {"source": ["33", 3]}}
    entry = comfy.run(prompt)
    assert [file for file in comfy.outputs(entry) if file.suffix == ".mp4"]
    (score,) = entry["outputs"]["score"]["text"]
    assert float(score) >= GOOD_SCORE

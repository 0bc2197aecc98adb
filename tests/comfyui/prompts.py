"""Prompts for tests in a real ComfyUI: workflows of version 0.1.0 with tiny models and small pictures."""

import json
from pathlib import Path

from comfy_workflow import change, to_prompt
from tiny_models import MODEL_NAME, VAE_NAME

# Files that artists saved with version 0.1.0: they go on working.
WORKFLOWS = Path(__file__).resolve().parents[1] / "workflows"
SIZE = 96


def small(workflow: str, object_info: dict, **sampler) -> dict:
    """The prompt of an example workflow; `sampler` are inputs of its EchoMimicV2 Sampler or APDH Conditioning."""
    content = (WORKFLOWS / f"{workflow}.json").read_text(encoding="utf-8")
    prompt = to_prompt(json.loads(content), object_info)
    change(prompt, "EchoMimicV2Loader", model=MODEL_NAME)
    change(prompt, "VAELoader", vae_name=VAE_NAME)
    change(prompt, "EchoMimicV2ReferenceEncode", width=SIZE, height=SIZE)
    change(prompt, "EchoMimicV2Sampler", **sampler)
    return change(prompt, "EchoMimicV2APDHConditioning", **sampler)

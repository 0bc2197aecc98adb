"""docs/compatibility.md, row by row: what ComfyUI's own nodes do on our MODEL."""

from dataclasses import replace
from pathlib import Path

import pytest
from comfy_server import WorkflowError
from comfy_workflow import default_of, is_widget
from heard import Heard
from test_values import graph

from echomimic_core.config import TINY
from echomimic_core.models.build import write_tiny_model

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"
LINES = DOCUMENT.read_text("utf-8").splitlines()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES if line.startswith("| ")][1:]
ELSEWHERE = DOCUMENT.read_text("utf-8").rpartition("\n| ")[2]
SHORT = {"frames": 4, "steps": 2, "cfg": 2.0, "context_frames": 4, "context_overlap": 2}
SHALLOW = "shallow.safetensors"
NO_EFFECT = "no effect on EchoMimicV2"


@pytest.fixture(scope="module", autouse=True)
def shallow_model(comfy):
    """A model of few layers: ComfyUI's merging nodes look at all weights for each weight."""
    write_tiny_model(comfy.base / "models" / "echomimic" / SHALLOW, config=replace(TINY, layers_per_block=1))


def patched(object_info: dict, node: str) -> dict:
    """A short run of the EchoMimicV2 Sampler on a MODEL that went through a node as it comes."""
    prompt = graph(object_info, "sampler", **SHORT)
    prompt["loader"]["inputs"]["model"] = SHALLOW
    prompt["picture"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 9}}
    prompt["sound"] = {"class_type": "EmptyAudio", "inputs": {"duration": 1.0, "sample_rate": 16000, "channels": 1}}
    schema = object_info[node]["input"]
    specs = {**schema.get("required", {}), **schema.get("optional", {})}
    inputs = {name: default_of(spec) for name, spec in specs.items() if is_widget(spec)}
    inputs |= {name: ["loader", 0] for name, spec in specs.items() if spec[0] == "MODEL"}
    prompt["patch"] = {"class_type": node, "inputs": inputs}
    prompt["sampler"]["inputs"]["model"] = ["patch", 0]
    return prompt


@pytest.mark.parametrize(("node", "outcome"), [row[:2] for row in ROWS], ids=[row[0] for row in ROWS])
def test_a_node_does_what_the_table_says(comfy, object_info, node, outcome):
    if node not in object_info:
        pytest.skip("this ComfyUI has no such node")
    with Heard(comfy.url) as heard:
        if outcome == "refused":
            with pytest.raises(WorkflowError) as refused:
                comfy.run(patched(object_info, node), 120)
            assert "EchoMimicV2" in str(refused.value) or "remove it from the MODEL's path" in str(refused.value)
            return
        comfy.run(patched(object_info, node), 120)
        if outcome == "no effect":
            assert NO_EFFECT in heard.of("sampler")
            assert node != "EasyCache" or "LazyCache" in heard.of("sampler")
        else:
            assert outcome == "works"
            assert NO_EFFECT not in "".join(heard.texts.get("sampler", []))


def test_every_node_of_comfyui_that_patches_a_model_is_told_of(object_info):
    """Those for other models are told of by a part of their name."""
    others = ELSEWHERE.replace("`", "").replace("-", "").replace("Stable Cascade", "StableCascade")
    words = [word.strip("(),.") for word in others.split()]
    told = {row[0] for row in ROWS}

    def is_told(name: str) -> bool:
        plain = name.replace("_", "").lower()
        return name in told or any(word[:1].isupper() and word.lower() in plain for word in words)

    silent = []
    for name, node in object_info.items():
        specs = [spec for group in ("required", "optional") for spec in node["input"].get(group, {}).values()]
        patches = "MODEL" in node["output"] and any(spec[0] == "MODEL" for spec in specs)
        core = str(node["python_module"]).startswith(("nodes", "comfy_extras"))
        # The older ComfyUI writes model_specific, and its trainer gives back the MODEL that it took.
        apart = any(word in node["category"].replace("_", " ") for word in ("model specific", "training"))
        if patches and core and not apart and not is_told(name):
            silent.append(name)
    assert not silent, f"docs/compatibility.md does not tell what these do on our MODEL: {', '.join(silent)}"

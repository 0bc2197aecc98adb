"""Workflows in ComfyUI's own page: the demo reads them alike, and those of older versions open whole and run."""

import json
import os
import shutil
from pathlib import Path

import pytest
from comfy_page import RUN_SECONDS, comfy_page, fit_view, load_workflow, red_nodes, run, set_values
from comfy_page import to_prompt as page_to_prompt
from comfy_workflow import to_prompt
from graphs import GRAPHS
from template_values import VALUES
from test_values import graph
from tiny_models import VAE_NAME

REPO = Path(__file__).resolve().parents[2]
TEMPLATES, OLD = REPO / "workflows", REPO / "tests" / "workflows"
NAMES = [graph.name for graph in GRAPHS]
OLD_NAMES = sorted(path.stem for path in OLD.glob("*.json"))
# Which the old workflows name.
VAE = "vae-ft-mse-840000-ema-pruned.safetensors"
# A detector looks at these pictures, or the artist brings a video.
NEEDS_REAL_INPUTS = {"gesture_library", "driving_video"}


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    # The page marks a node whose file is missing as it marks one that it does not know.
    vaes = comfy.base / "models" / "vae"
    named = vaes / VAE
    shutil.copy(vaes / VAE_NAME, named)
    try:
        with comfy_page(comfy) as page:
            yield page
    finally:
        named.unlink()


def read(name: str) -> dict:
    folder = TEMPLATES if name in NAMES else OLD
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.both_ends
@pytest.mark.parametrize("name", [*NAMES, *OLD_NAMES])
def test_page_and_demo_read_a_workflow_alike(page, name, object_info):
    workflow = read(name)
    load_workflow(page, workflow)
    from_page = page_to_prompt(page)["output"]
    for node in from_page.values():
        node.pop("_meta")
        known = object_info[node["class_type"]]["input"]
        names = {**known.get("required", {}), **known.get("optional", {})}
        # The page's own widgets, as an upload button, are sent along; a dynamic choice's own have its name and a dot.
        node["inputs"] = {name: value for name, value in node["inputs"].items() if name.split(".")[0] in names}
    assert to_prompt(workflow, object_info) == from_page


@pytest.mark.both_ends
@pytest.mark.parametrize("name", OLD_NAMES)
def test_workflow_of_an_older_version_opens_whole_and_runs(page, name, request):
    values = VALUES
    if name in NEEDS_REAL_INPUTS:
        real = request.getfixturevalue("real_inputs")
        page.evaluate("() => window.app.refreshComboInNodes()")
        values = {**VALUES, "LoadImage": {"image": real.picture}}
    load_workflow(page, read(name))
    assert not red_nodes(page)
    set_values(page, values)
    run(page)


def test_what_a_node_says_is_drawn_on_it(page, object_info):
    """The page draws `ui` texts of ComfyUI's own nodes only; ours come another way."""
    prompt = graph(object_info, "library", gesture="idle", frames=5)
    page.evaluate("async prompt => { await window.app.loadApiJson(prompt, 'said') }", prompt)
    fit_view(page)
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.get_by_text("The hands stay in the picture.").first.wait_for(timeout=RUN_SECONDS * 1000)
    holders = """() => window.app.graph._nodes
        .filter(node => node.widgets?.some(widget => String(widget.value).includes("The hands stay")))
        .map(node => node.type)"""
    assert page.evaluate(holders) == ["EchoMimicV2PoseLibrary"]

"""The example workflows in ComfyUI's own page: they open whole, and Run runs them."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from comfy_page import comfy_page, fit_view, load_workflow, show_as_vue
from comfy_page import to_prompt as page_to_prompt
from comfy_workflow import to_prompt
from graphs import GRAPHS
from test_values import graph
from tiny_models import MODEL_NAME, VAE_NAME

REPO = Path(__file__).resolve().parents[2]
TEMPLATES, OLD = REPO / "workflows", REPO / "tests" / "workflows"
NAMES = [graph.name for graph in GRAPHS]
OLD_NAMES = sorted(path.stem for path in OLD.glob("*.json"))
# Which the old workflows name.
VAE = "vae-ft-mse-840000-ema-pruned.safetensors"
RUN_SECONDS = 240
SMALL = {"width": 64, "height": 64, "duration": 0.2}
VALUES = {
    "EchoMimicV2Loader": {"model": MODEL_NAME},
    "VAELoader": {"vae_name": VAE_NAME},
    "EchoMimicV2ReferenceEncode": SMALL,
    "EchoMimicV2AlignPose": SMALL,
    "EchoMimicV2AudioEmbeds": SMALL,
}
# A detector looks at these pictures, or the artist brings a video.
NEEDS_REAL_INPUTS = {"gesture_library", "driving_video", "EchoMimicV2_3_driving_video"}


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


def test_every_template_has_a_graph_and_a_thumbnail():
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(NAMES)
    assert {path.stem for path in TEMPLATES.glob("*.jpg")} == set(NAMES)


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
@pytest.mark.parametrize("name", [*NAMES, *OLD_NAMES])
def test_workflow_opens_whole_and_runs(page, name, request):
    values = VALUES
    if name in NEEDS_REAL_INPUTS:
        real = request.getfixturevalue("real_inputs")
        page.evaluate("() => window.app.refreshComboInNodes()")
        values = {**VALUES, "LoadImage": {"image": real.picture}}
    load_workflow(page, read(name))
    unknown = page.evaluate("() => window.app.graph._nodes.filter(n => n.has_errors || !n.type).map(n => n.type)")
    assert not unknown
    page.evaluate(
        """values => {
            for (const node of window.app.graph._nodes)
                for (const widget of node.widgets ?? [])
                    if (widget.name in (values[node.type] ?? {})) widget.value = values[node.type][widget.name];
            window.outcome = null;
            for (const name of ["execution_success", "execution_error", "execution_interrupted"])
                window.app.api.addEventListener(name, event => { window.outcome ??= [name, event.detail] });
        }""",
        values,
    )
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.wait_for_function("() => window.outcome", timeout=RUN_SECONDS * 1000)
    outcome, detail = page.evaluate("() => window.outcome")
    assert outcome == "execution_success", detail.get("exception_message")


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


BOXES = """() => window.app.graph._nodes.map(node => {
    const [x, y, width, height] = node.getBounding();
    return [`${node.id} ${node.title}`, x, y, width, height];
})"""
VUE_BOXES = """() => [...document.querySelectorAll('[data-node-id]')].map(element => {
    const box = element.getBoundingClientRect();
    return [element.dataset.nodeId, box.x, box.y, box.width, box.height];
})"""


def overlaps(boxes: list) -> list:
    """Pairs of names whose boxes (x, y, width, height) share more than a border."""
    found = []
    for index, (name, x, y, width, height) in enumerate(boxes):
        for other, left, top, wide, tall in boxes[index + 1 :]:
            if x + width > left + 1 and left + wide > x + 1 and y + height > top + 1 and top + tall > y + 1:
                found.append((name, other))
    return found


def test_boxes_that_share_an_area_are_told():
    assert overlaps([["a", 0, 0, 10, 10], ["b", 8, 5, 10, 10], ["c", 30, 0, 1, 1]]) == [("a", "b")]


@pytest.mark.parametrize("as_vue", [False, True], ids=["classic", "Nodes 2.0"])
@pytest.mark.parametrize("name", NAMES)
def test_no_box_lies_on_another(page, name, as_vue):
    try:
        load_workflow(page, read(name))
        show_as_vue(page, as_vue)
        fit_view(page)
        boxes = page.evaluate(VUE_BOXES if as_vue else BOXES)
        assert len(boxes) == len(read(name)["nodes"]) and not overlaps(boxes)
    finally:
        show_as_vue(page, False)


def test_templates_carry_what_the_page_and_the_manager_ask_for():
    for name in NAMES:
        workflow = read(name)
        assert {tuple(node) for node in workflow["extra"]["linearData"]["inputs"]} >= {(3, "image"), (4, "audio")}
        assert workflow["extra"]["linearData"]["outputs"] == [10]
        for node in workflow["nodes"]:
            ours = node["type"].startswith("EchoMimicV2")
            assert node["properties"]["cnr_id"] == ("echomimicv2" if ours else "comfy-core")
            if node["type"] == "EchoMimicV2Loader":
                assert {model["directory"] for model in node["properties"]["models"]} == {"echomimic", "vae"}
                assert True not in node["widgets_values"]
        notes = [node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote"]
        (drawn,) = (graph for graph in GRAPHS if graph.name == name)
        assert notes == [drawn.note("en"), drawn.note("zh")]
        assert [bool(re.search("[\u4e00-\u9fff]", note)) for note in notes] == [False, True]

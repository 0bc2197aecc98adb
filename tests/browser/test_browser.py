"""The example workflows in ComfyUI's own page: they open whole, and Run runs them."""

import json
import os
from pathlib import Path

import pytest
from comfy_page import comfy_page, load_workflow
from comfy_page import to_prompt as page_to_prompt
from comfy_workflow import to_prompt
from graphs import GRAPHS
from tiny_models import MODEL_NAME, VAE_NAME

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
RUN_SECONDS = 240
SMALL = {
    "model": MODEL_NAME,
    "vae_name": VAE_NAME,
    "width": 64,
    "height": 64,
    "duration": 0.2,
}
SMALL_NODES = ("EchoMimicV2Loader", "VAELoader", "EchoMimicV2ReferenceEncode", "EchoMimicV2AudioEmbeds")


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy) as page:
        yield page


@pytest.fixture(params=[graph.name for graph in GRAPHS])
def workflow(request) -> dict:
    return json.loads((WORKFLOWS / f"{request.param}.json").read_text(encoding="utf-8"))


def test_every_workflow_file_has_a_graph_and_a_thumbnail():
    names = {graph.name for graph in GRAPHS}
    assert {path.stem for path in WORKFLOWS.glob("*.json")} == names
    assert {path.stem for path in WORKFLOWS.glob("*.jpg")} == names


def test_page_and_demo_read_a_workflow_alike(page, workflow, object_info):
    load_workflow(page, workflow)
    from_page = page_to_prompt(page)["output"]
    for node in from_page.values():
        del node["_meta"]
        known = object_info[node["class_type"]]["input"]
        names = {**known.get("required", {}), **known.get("optional", {})}
        node["inputs"] = {name: value for name, value in node["inputs"].items() if name in names}
    assert to_prompt(workflow, object_info) == from_page


def test_workflow_opens_whole_and_runs(page, workflow):
    load_workflow(page, workflow)
    unknown = page.evaluate("() => window.app.graph._nodes.filter(n => n.has_errors || !n.type).map(n => n.type)")
    assert not unknown
    page.evaluate(
        """([values, kinds]) => {
            for (const node of window.app.graph._nodes.filter(node => kinds.includes(node.type)))
                for (const widget of node.widgets) if (widget.name in values) widget.value = values[widget.name];
            window.outcome = null;
            for (const name of ["execution_success", "execution_error", "execution_interrupted"])
                window.app.api.addEventListener(name, event => { window.outcome = [name, event.detail] }, {once: true});
        }""",
        [SMALL, SMALL_NODES],
    )
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.wait_for_function("() => window.outcome", timeout=RUN_SECONDS * 1000)
    name, detail = page.evaluate("() => window.outcome")
    assert name == "execution_success", detail.get("exception_message")

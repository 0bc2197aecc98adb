"""The blueprint Talking Photo: one node in the page's library, picture and voice in, video out."""

import json
import os
from pathlib import Path

import pytest
from comfy_page import comfy_page
from comfy_page import to_prompt as page_to_prompt

BLUEPRINT = Path(__file__).resolve().parents[2] / "subgraphs" / "EchoMimicV2 Talking Photo.json"


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy) as page:
        yield page


def test_the_server_offers_the_blueprint(comfy):
    offered = comfy.get("/global_subgraphs")
    assert BLUEPRINT.stem in [blueprint["name"] for blueprint in offered.values()]


def test_the_blueprint_is_one_node_with_picture_and_voice_in_and_a_video_out(page):
    blueprint = json.loads(BLUEPRINT.read_text("utf-8"))
    page.evaluate("async workflow => { await window.app.loadGraphData(workflow) }", blueprint)
    shown = page.evaluate(
        """() => {
            const graph = window.app.graph, [node] = graph._nodes;
            const feed = (kind, to) => {
                const other = window.LiteGraph.createNode(kind);
                graph.add(other);
                other.connect(0, node, node.findInputSlot(to));
            };
            feed("LoadImage", "image");
            feed("LoadAudio", "audio");
            const save = window.LiteGraph.createNode("SaveVideo");
            graph.add(save);
            node.connect(0, save, 0);
            return { widgets: node.widgets.map(widget => widget.label ?? widget.name),
                     outputs: node.outputs.map(output => output.type) };
        }"""
    )
    assert shown["outputs"] == ["VIDEO"]
    assert {"model", "energy", "seed"} <= set(shown["widgets"])
    sent = page_to_prompt(page)["output"].values()
    assert {"EchoMimicV2Loader", "EchoMimicV2Sampler", "EchoMimicV2VoiceGestures"} <= {n["class_type"] for n in sent}

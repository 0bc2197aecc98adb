"""Write subgraphs/EchoMimicV2 Talking Photo.json, one node out of the first template, with the page of a real ComfyUI.

python tests/browser/make_blueprint.py, by a Python that runs ComfyUI, with COMFYUI_PATH and CHROMIUM set.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "demo"), str(REPO / "tests"), str(Path(__file__).parent), str(REPO)]

from comfy_page import comfy_page, load_workflow  # noqa: E402
from comfy_server import ComfyServer  # noqa: E402
from comfy_setup import CPU_ARGUMENTS, Installation, make_base  # noqa: E402
from graphs import TALKING_PHOTO  # noqa: E402

BLUEPRINT = REPO / "subgraphs" / "EchoMimicV2 Talking Photo.json"
OUTSIDE = ["LoadImage", "LoadAudio", "SaveVideo", "MarkdownNote"]
WIDGETS = [["1", "model"], ["5", "energy"], ["5", "seed"], ["8", "seed"]]

FOLD = """({outside, widgets, title}) => {
    const graph = window.app.graph;
    const inside = graph._nodes.filter(node => !outside.includes(node.type));
    const { node } = graph.convertToSubgraph(new Set(inside));
    node.title = title;
    node.subgraph.name = title;
    node.properties.proxyWidgets = widgets;
    node.properties.cnr_id = "echomimicv2";
    const { nodes, subgraphs } = window.app.canvas._serializeItems([node]);
    return { revision: 0, last_node_id: node.id, last_link_id: 0, nodes, links: [], version: 0.4,
        definitions: { subgraphs } };
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
        with ComfyServer(installation, make_base(Path(folder)), CPU_ARGUMENTS) as server, comfy_page(server) as page:
            workflow = REPO / "workflows" / f"{TALKING_PHOTO.name}.json"
            load_workflow(page, json.loads(workflow.read_text("utf-8")))
            made = page.evaluate(FOLD, {"outside": OUTSIDE, "widgets": WIDGETS, "title": BLUEPRINT.stem})
    BLUEPRINT.parent.mkdir(exist_ok=True)
    BLUEPRINT.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Write workflows/*.json and their thumbnails from graphs.py, with the page of a real ComfyUI.

python tests/browser/make_workflows.py, by a Python that runs ComfyUI, with COMFYUI_PATH and CHROMIUM set.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "demo"), str(Path(__file__).parent)]

from comfy_page import comfy_page, fit_view, to_prompt  # noqa: E402
from comfy_server import ComfyServer  # noqa: E402
from comfy_setup import CPU_ARGUMENTS, Installation, make_base  # noqa: E402
from graphs import GRAPHS, Graph  # noqa: E402

WORKFLOWS = REPO / "workflows"
NODE_WIDTH = 320
NOTE_PLACE, NOTE_SIZE = (-420, 0), (380, 420)
THUMBNAIL_QUALITY = 80
CANVAS = {"x": 160, "y": 140, "width": 1280, "height": 640}  # The page without its bars

ARRANGE = """async ({prompt, places, models, note, notePlace, noteSize, nodeWidth}) => {
    await window.app.loadApiJson(prompt, "example");
    for (const node of window.app.graph._nodes) {
        node.pos = places[node.id];
        const [width, height] = node.computeSize();
        node.setSize([Math.max(width, nodeWidth), height]);
        if (models[node.id]?.length) node.properties.models = models[node.id];
    }
    const sheet = window.LiteGraph.createNode("MarkdownNote");
    window.app.graph.add(sheet);
    sheet.pos = notePlace;
    sheet.setSize(noteSize);
    sheet.widgets[0].value = note;
}"""


def write(page, graph: Graph) -> None:
    """Draw a graph in the page and save it as the page saves it."""
    drawing = {
        "prompt": {node.id: {"class_type": node.kind, "inputs": node.inputs} for node in graph.nodes},
        "places": {node.id: node.place for node in graph.nodes},
        "models": {node.id: node.models for node in graph.nodes},
        "note": graph.note,
        "notePlace": NOTE_PLACE,
        "noteSize": NOTE_SIZE,
        "nodeWidth": NODE_WIDTH,
    }
    page.evaluate(ARRANGE, drawing)
    page.wait_for_timeout(1500)
    workflow = to_prompt(page)["workflow"]
    workflow["extra"] = {}  # Where the page was scrolled to, and its version
    (WORKFLOWS / f"{graph.name}.json").write_text(
        json.dumps(workflow, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    fit_view(page)
    page.screenshot(path=WORKFLOWS / f"{graph.name}.jpg", type="jpeg", quality=THUMBNAIL_QUALITY, clip=CANVAS)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder))
        for path in (REPO / "demo" / "inputs").iterdir():
            shutil.copy(path, base / "input")
        for model in (model for graph in GRAPHS for node in graph.nodes for model in node.models):
            place = base / "models" / model["directory"]
            place.mkdir(parents=True, exist_ok=True)
            (place / model["name"]).touch()
        installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
        with ComfyServer(installation, base, CPU_ARGUMENTS) as server, comfy_page(server) as page:
            for graph in GRAPHS:
                write(page, graph)


if __name__ == "__main__":
    main()

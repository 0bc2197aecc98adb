"""Write workflows/*.json and their thumbnails from graphs.py, with the page of a real ComfyUI.

python tests/browser/make_workflows.py [--thumbnails] [NAME ...], by a Python that runs ComfyUI, with COMFYUI_PATH and
CHROMIUM set.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "demo"), str(REPO / "tests"), str(Path(__file__).parent), str(REPO)]

from comfy_page import comfy_page, show_as_vue, to_prompt  # noqa: E402
from comfy_server import ComfyServer  # noqa: E402
from comfy_setup import CPU_ARGUMENTS, Installation, make_base  # noqa: E402
from comfy_workflow import change  # noqa: E402
from comfy_workflow import to_prompt as to_api  # noqa: E402
from graphs import APP_INPUTS, APP_OUTPUTS, GRAPHS  # noqa: E402
from parts import PICTURE as PICTURE_NAME  # noqa: E402
from parts import VIDEO, Graph  # noqa: E402

WORKFLOWS = REPO / "workflows"
SMALL_MODEL = REPO / "demo" / "models" / "nano.safetensors"
# The page opens a template so that all of it fits, and draws no text below 57 %: 2420 by 1220 fit a Full HD screen.
NODE_WIDTH, COLUMN_GAP, ROW_GAP = 330, 50, 60
NOTE_SIZE, NOTE_X, SECOND_NOTE_Y = (370, 350), -420, 620  # Older pages draw notes as long as their texts
PACK = "echomimicv2"
CELL, THUMBNAIL_QUALITY = 128, 85
# What each thumbnail shows, on four by four cells: (what, column, row, cells per side).
MOMENT, PICTURE, DRIVING = "a moment of the video", "the picture", "a moment of the driving video"
QUARTERS = ((0, 0, 2), (2, 0, 2), (0, 2, 2), (2, 2, 2))
THUMBNAILS = {
    "1": ((PICTURE, *QUARTERS[0]), *((MOMENT, *place) for place in QUARTERS[1:])),
    "2": tuple((MOMENT, *place) for place in QUARTERS),
    "3": (*((DRIVING, *place) for place in QUARTERS[:2]), *((MOMENT, *place) for place in QUARTERS[2:])),
    "4": tuple((MOMENT, index % 4, index // 4, 1) for index in range(16)),
    "5": ((PICTURE, 0, 0, 4), (MOMENT, 2, 2, 2)),
    "6": (
        (MOMENT, 0, 0, 3),
        *((MOMENT, 3, row, 1) for row in range(4)),
        *((MOMENT, column, 3, 1) for column in range(3)),
    ),
}
# Others show what goes in, and moments of the video below.
STRIP = ((PICTURE, 0, 0, 4), *((MOMENT, column, 3, 1) for column in range(4)))
# Of Crop Person: the size that the small model knows, and twice that where no latents have to fit.
SMALL_SIZE, SCENE_SIZE = 128, 256

DRAW = """async ({prompt, rooms, models, widths, pack}) => {
    await window.app.loadApiJson(prompt, "example");
    for (const node of window.app.graph._nodes) {
        const [least, height] = node.computeSize();
        node.setSize([Math.max(least, widths[node.id]), height + rooms[node.id]]);
        node.properties.cnr_id = node.type.startsWith("EchoMimicV2") ? pack : "comfy-core";
        if (models[node.id]?.length) node.properties.models = models[node.id];
    }
}"""
HEIGHTS = "() => Object.fromEntries(window.app.graph._nodes.map(node => [node.id, node.size[1]]))"
VUE_HEIGHTS = """() => Object.fromEntries([...document.querySelectorAll('[data-node-id]')].map(
    element => [element.dataset.nodeId, element.offsetHeight]))"""
PLACE = """({places, notes, noteSize}) => {
    for (const node of window.app.graph._nodes) node.pos = places[node.id];
    for (const [text, title, place] of notes) {
        const sheet = window.LiteGraph.createNode("MarkdownNote");
        window.app.graph.add(sheet);
        sheet.title = title;
        sheet.pos = place;
        sheet.setSize(noteSize);
        sheet.widgets[0].value = text;
        sheet.properties.cnr_id = "comfy-core";
    }
}"""


def write(page, graph: Graph) -> None:
    """Draw a graph in the page and save it as the page saves it."""
    drawing = {
        "prompt": {node.id: {"class_type": node.kind, "inputs": node.inputs} for node in graph.nodes},
        "rooms": {node.id: node.room for node in graph.nodes},
        "models": {node.id: node.models for node in graph.nodes},
        "widths": {node.id: node.width or NODE_WIDTH for node in graph.nodes},
        "pack": PACK,
    }
    page.evaluate(DRAW, drawing)
    taller = vue_heights(page)
    page.evaluate(DRAW, drawing)
    page.wait_for_timeout(500)
    heights = {id: max(height, taller.get(id, 0)) for id, height in page.evaluate(HEIGHTS).items()}
    notes = [
        (graph.note("en"), "Read me", [NOTE_X, 0]),
        (graph.note("zh"), "使用说明", [NOTE_X, SECOND_NOTE_Y]),
    ]
    page.evaluate(PLACE, {"places": places(graph, heights), "notes": notes, "noteSize": NOTE_SIZE})
    page.wait_for_timeout(1000)
    workflow = to_prompt(page)["workflow"]
    ids = {node.id for node in graph.nodes}
    app = {
        "inputs": [[int(id), name] for id, name in APP_INPUTS if id in ids and name in node_of(graph, id).inputs],
        "outputs": [int(id) for id in APP_OUTPUTS],
    }
    workflow["extra"] = {"linearData": app}  # Not where the page was scrolled to, and its version.
    for node in workflow["nodes"]:
        make_old(node)
    text = json.dumps(workflow, indent=1, ensure_ascii=False) + "\n"
    (WORKFLOWS / f"{graph.name}.json").write_text(text, encoding="utf-8")


def make_old(node: dict) -> None:
    """Save widgets as every page reads them: by their places, and those of Save Video as they were before 0.33."""
    node.pop("widgets_values_named", None)
    if node["type"] == "SaveVideo":
        node["widgets_values"] = [node["widgets_values"][0], "mp4", "h264"]


def node_of(graph: Graph, id: str):
    return next(node for node in graph.nodes if node.id == id)


def vue_heights(page) -> dict[str, float]:
    """How tall Nodes 2.0 draws the nodes that are there now, once their pictures are there."""
    show_as_vue(page, True)
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    before, heights = None, page.evaluate(VUE_HEIGHTS)
    while heights != before:
        page.wait_for_timeout(1000)
        before, heights = heights, page.evaluate(VUE_HEIGHTS)
    show_as_vue(page, False)
    return heights


def places(graph: Graph, heights: dict[str, float]) -> dict[str, list[float]]:
    """Where each node stands: columns side by side, one node below the other."""
    widths = dict.fromkeys(range(max(node.column for node in graph.nodes) + 1), NODE_WIDTH)
    for node in graph.nodes:
        widths[node.column] = max(widths[node.column], node.width)
    bottoms, found = {}, {}
    for node in graph.nodes:
        y = bottoms.get(node.column, 0)
        found[node.id] = [sum(widths[column] + COLUMN_GAP for column in range(node.column)), y]
        bottoms[node.column] = y + heights[node.id] + ROW_GAP
    return found


def draw_thumbnail(server: ComfyServer, graph: Graph) -> None:
    """The result: moments of the video that the small model makes, and what goes in."""
    from PIL import Image

    workflow = json.loads((WORKFLOWS / f"{graph.name}.json").read_text(encoding="utf-8"))
    prompt = to_api(workflow, server.get("/object_info"))
    change(prompt, "EchoMimicV2Loader", model=SMALL_MODEL.name, weight_dtype="auto")
    change(prompt, "EchoMimicV2ReferenceEncode", width=0, height=0)
    change(prompt, "EchoMimicV2AudioEmbeds", duration=graph.seconds)
    # The small model knows people in the frame in which they are drawn.
    change(prompt, "EchoMimicV2AlignPose", framing="keep")
    change(prompt, "EchoMimicV2CropPerson", size=SCENE_SIZE)
    if "latent" in node_inputs(prompt, "EchoMimicV2Sampler"):
        # Latents of a video have the model's own size.
        change(prompt, "EchoMimicV2CropPerson", size=SMALL_SIZE)
    path = next(path for path in server.outputs(server.run(prompt)) if path.suffix == ".mp4")
    frames = {
        MOMENT: pictures_of(path),
        DRIVING: pictures_of(WORKFLOWS / "inputs" / VIDEO),
        PICTURE: [Image.open(WORKFLOWS / "inputs" / PICTURE_NAME).convert("RGB")],
    }
    if node_inputs(prompt, "EchoMimicV2PastePerson"):
        frames[PICTURE] = frames[MOMENT][:1]
    shown, tiles = Image.new("RGB", (4 * CELL, 4 * CELL)), THUMBNAILS.get(graph.number, STRIP)
    for what, column, row, cells in tiles:
        places = [tile for tile in tiles if tile[0] == what]
        index = places.index((what, column, row, cells))
        moment = squared(frames[what][(2 * index + 1) * len(frames[what]) // (2 * len(places))])
        side = cells * CELL
        shown.paste(moment.resize((side, side), Image.LANCZOS), (column * CELL, row * CELL))
    shown.save(WORKFLOWS / f"{graph.name}.jpg", quality=THUMBNAIL_QUALITY)


def node_inputs(prompt: dict, kind: str) -> dict:
    """Inputs of the first node of a kind, none if there is no such node."""
    return next((node["inputs"] for node in prompt.values() if node["class_type"] == kind), {})


def squared(picture):
    """The middle square of the upper part of a picture."""
    side = min(picture.size)
    left = (picture.width - side) // 2
    return picture.crop((left, 0, left + side, side))


def pictures_of(path: Path) -> list:
    """Every frame of a video, as PIL pictures."""
    import av

    with av.open(str(path)) as video:
        return [frame.to_image() for frame in video.decode(video=0)]


def main() -> None:
    """Draw the templates that are named, or all; with --thumbnails only their thumbnails."""
    names = [name for name in sys.argv[1:] if name != "--thumbnails"]
    wanted = [graph for graph in GRAPHS if not names or graph.name in names]
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder))
        models = base / "models" / "echomimic"
        models.mkdir(parents=True, exist_ok=True)
        shutil.copy(SMALL_MODEL, models)
        installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
        with ComfyServer(installation, base, CPU_ARGUMENTS) as server:
            if "--thumbnails" not in sys.argv:
                with comfy_page(server) as page:
                    for graph in wanted:
                        write(page, graph)
            for graph in wanted:
                print(graph.name, flush=True)
                draw_thumbnail(server, graph)


if __name__ == "__main__":
    main()

"""Templates as an artist meets them in ComfyUI's own page: opened from its list, uploaded to, run, and looked at."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from comfy_page import (
    boxes,
    comfy_page,
    fit_view,
    load_workflow,
    open_template,
    overlaps,
    red_nodes,
    run,
    set_values,
    show_as_vue,
    visit,
)
from graphs import GRAPHS
from parts import PREFIX
from template_values import VALUES

REPO = Path(__file__).resolve().parents[2]
TEMPLATES = REPO / "workflows"
NAMES = [graph.name for graph in GRAPHS]
# In CI the first template and the largest are run, and all are opened in the classic page; the rest at a release.
LARGEST = {f"{PREFIX}_8_two_people_talking"}
ONLY_AT_RELEASE = pytest.mark.release
MODES = [pytest.param(False, id="classic"), pytest.param(True, id="Nodes 2.0", marks=ONLY_AT_RELEASE)]
CHINESE = re.compile("[\u4e00-\u9fff]")
# The page draws text from 57 % of its size on, and opens a template at no more than about three quarters of its own.
READABLE, FULL_HD, FILLED = 0.57, (1920, 950), 0.73
UPLOADED = {"LoadImage": "image", "LoadAudio": "audio", "LoadVideo": "file"}  # Their widgets with the file's name
SHOWN_VIDEO = """() => {
    const [node] = window.app.graph._nodes.filter(node => node.type === "SaveVideo");
    const { images, gifs, video } = window.app.nodeOutputs[node.id] ?? {};
    return (images ?? gifs ?? video ?? []).map(file => file.filename);
}"""


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy, Comfy_Execution_PreviewMethod="latent2rgb") as page:
        yield page


@pytest.fixture(scope="module")
def chinese_page(comfy, page):
    visit(page, comfy, Comfy_Locale="zh")
    yield page
    visit(page, comfy, Comfy_Locale="en")


def read(name: str) -> dict:
    return json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))


def upload(page, kind: str, path: Path) -> None:
    """Choose a file with the upload button of the node of a kind."""
    name = UPLOADED[kind]
    with page.expect_file_chooser() as chooser:
        page.evaluate(
            """kind => {
                const [node] = window.app.graph._nodes.filter(node => node.type === kind);
                node.widgets.find(widget => widget.type === "button").callback();
            }""",
            kind,
        )
    chooser.value.set_files(path)
    chosen = """([kind, name, value]) => window.app.graph._nodes.some(
        node => node.type === kind && node.widgets.find(widget => widget.name === name).value === value)"""
    page.wait_for_function(chosen, arg=[kind, name, path.name], timeout=20_000)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.both_ends if name == NAMES[0] else () if name in LARGEST else ONLY_AT_RELEASE
        )
        for name in NAMES
    ],
)
def test_template_is_opened_from_the_list_uploaded_to_and_run(page, name, tmp_path):
    page.complaints.clear()
    open_template(page, name)
    assert not red_nodes(page)
    for node in read(name)["nodes"]:
        if node["type"] in UPLOADED:
            example = TEMPLATES / "inputs" / node["widgets_values"][0]
            upload(page, node["type"], Path(shutil.copy(example, tmp_path / f"my_{example.name}")))
    set_values(page, VALUES)
    run(page)
    page.wait_for_timeout(1000)  # What the nodes show is drawn
    assert [file for file in page.evaluate(SHOWN_VIDEO) if file.endswith(".mp4")]
    assert not red_nodes(page) and not page.complaints
    assert not overlaps(boxes(page))
    try:
        show_as_vue(page, True)
        fit_view(page)
        assert not overlaps(boxes(page, as_vue=True))
    finally:
        show_as_vue(page, False)


@pytest.mark.parametrize("as_vue", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_no_box_lies_on_another(page, name, as_vue):
    open_and_look(page, name, as_vue)


@pytest.mark.parametrize("as_vue", MODES)
@pytest.mark.parametrize("name", [NAMES[0], *(pytest.param(name, marks=ONLY_AT_RELEASE) for name in NAMES[1:])])
def test_template_opens_in_chinese(chinese_page, name, as_vue):
    titles = open_and_look(chinese_page, name, as_vue)
    ours = [title for kind, title in titles if kind.startswith(PREFIX)]
    assert ours and all(CHINESE.search(title) for title in ours)


def open_and_look(page, name: str, as_vue: bool) -> list:
    """Open a template, and hold that nothing overlaps or complains; (type, title) of each node."""
    page.complaints.clear()
    try:
        load_workflow(page, read(name))
        show_as_vue(page, as_vue)
        fit_view(page)
        drawn = boxes(page, as_vue)
        titles = page.evaluate("() => window.app.graph._nodes.map(node => [node.type, node.title])")
        assert len(drawn) == len(titles) == len(read(name)["nodes"]) and not overlaps(drawn)
        assert not red_nodes(page) and not page.complaints
        return titles
    finally:
        show_as_vue(page, False)


def test_boxes_that_share_an_area_are_told():
    assert overlaps([["a", 0, 0, 10, 10], ["b", 8, 5, 10, 10], ["c", 30, 0, 1, 1]]) == [("a", "b")]


def test_every_template_has_a_graph_and_a_thumbnail():
    assert {path.stem for path in TEMPLATES.glob("*.json")} == set(NAMES)
    assert {path.stem for path in TEMPLATES.glob("*.jpg")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES[:5])  # The sixth has two more steps side by side
def test_a_whole_template_is_readable_on_a_full_hd_screen(name):
    nodes = read(name)["nodes"]
    for axis in (0, 1):
        length = max(node["pos"][axis] + node["size"][axis] for node in nodes) - min(n["pos"][axis] for n in nodes)
        assert length * READABLE < FULL_HD[axis] * FILLED


def test_templates_carry_what_the_page_and_the_manager_ask_for():
    for name in NAMES:
        workflow = read(name)
        asked = {tuple(node) for node in workflow["extra"]["linearData"]["inputs"]}
        assert asked & {(4, "audio"), (56, "folder")} and asked & {(3, "image"), (40, "file")}
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

"""What our scripts add to the page: consent to downloads that no file carries, and poses from the artist's disk."""

import os
import shutil
import zipfile

import numpy as np
import pytest
from comfy_page import comfy_page, load_workflow
from comfy_page import to_prompt as page_to_prompt


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy) as page:
        yield page


@pytest.fixture(params=[False, True], ids=["classic", "Nodes 2.0"])
def mode(page, request):
    """Both ways in which the page draws nodes."""
    switch(page, request.param)
    yield request.param
    switch(page, False)


def switch(page, on: bool) -> None:
    page.evaluate("async on => { await window.app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on) }", on)


def one_node(page, kind: str) -> None:
    page.evaluate(
        """kind => {
            window.app.graph.clear();
            const node = window.LiteGraph.createNode(kind);
            node.pos = [300, 200];
            window.app.graph.add(node);
            window.app.canvas.ds.reset();
            window.app.canvas.setDirty(true, true);
        }""",
        kind,
    )
    page.wait_for_timeout(500)


def widget(page, name: str):
    return page.evaluate("name => window.app.graph._nodes[0].widgets.find(w => w.name === name).value", name)


def switch_on(page) -> None:
    page.evaluate("() => { window.app.graph._nodes[0].widgets.find(w => w.name === 'download_missing').value = true }")


@pytest.mark.both_ends
def test_a_workflow_is_saved_with_downloads_off_and_run_with_them_on(page):
    one_node(page, "EchoMimicV2Loader")
    switch_on(page)
    both = page_to_prompt(page)
    (sent,) = both["output"].values()
    (saved,) = both["workflow"]["nodes"]
    assert sent["inputs"]["download_missing"] is True
    assert True not in saved["widgets_values"] and False in saved["widgets_values"]
    assert saved.get("widgets_values_named", {}).get("download_missing", False) is False
    assert widget(page, "download_missing") is True


@pytest.mark.both_ends
def test_a_workflow_that_says_on_is_opened_with_downloads_off(page):
    one_node(page, "EchoMimicV2Loader")
    workflow = page_to_prompt(page)["workflow"]
    (node,) = workflow["nodes"]
    node["widgets_values"] = [True if value is False else value for value in node["widgets_values"]]
    node.setdefault("widgets_values_named", {})["download_missing"] = True
    load_workflow(page, workflow)
    assert widget(page, "download_missing") is False
    prompt = {"1": {"class_type": "EchoMimicV2Loader", "inputs": {"model": "standard", "download_missing": True}}}
    page.evaluate("async prompt => { await window.app.loadApiJson(prompt, 'sent') }", prompt)
    assert widget(page, "model") == "standard" and widget(page, "download_missing") is False


@pytest.fixture
def poses(tmp_path, comfy):
    """A .json and a .zip of a pose on the artist's disk."""
    written = [tmp_path / "of_mine.json", tmp_path / "of_mine.zip"]
    shutil.copy(comfy.base / "input" / "gesture.json", written[0])
    np.save(tmp_path / "0.npy", {"hands": np.ones((2, 21, 2)) / 2, "hands_score": np.ones((2, 21))}, allow_pickle=True)
    with zipfile.ZipFile(written[1], "w") as file:
        file.write(tmp_path / "0.npy", "clip/0.npy")
    yield written
    shutil.rmtree(comfy.base / "input" / "poses", ignore_errors=True)


def test_a_pose_is_chosen_with_the_button(page, comfy, poses):
    one_node(page, "EchoMimicV2LoadPose")
    for path in poses:
        with page.expect_file_chooser() as chooser:
            page.evaluate("() => window.app.graph._nodes[0].widgets.find(w => w.type === 'button').callback()")
        chooser.value.set_files(path)
        page.wait_for_function(
            "name => window.app.graph._nodes[0].widgets[0].value === name", arg=f"poses/{path.name}", timeout=10_000
        )
        assert (comfy.base / "input" / "poses" / path.name).read_bytes() == path.read_bytes()
    # The button is no value of the workflow, and the upload is one that the server knows.
    both = page_to_prompt(page)
    (sent,) = both["output"].values()
    assert sent["inputs"]["folder"] == "poses/of_mine.zip"
    assert (
        "poses/of_mine.zip"
        in comfy.get("/object_info/EchoMimicV2LoadPose")["EchoMimicV2LoadPose"]["input"]["required"]["folder"][1][
            "options"
        ]
    )


DROP = """async ([content, name]) => {
    const node = window.app.graph._nodes[0];
    const canvas = window.app.canvas.canvas, box = canvas.getBoundingClientRect();
    const { scale, offset } = window.app.canvas.ds;
    const x = box.left + (node.pos[0] + 60 + offset[0]) * scale, y = box.top + (node.pos[1] + 40 + offset[1]) * scale;
    const files = new DataTransfer();
    files.items.add(new File([content], name, { type: "application/json" }));
    const at = document.elementFromPoint(x, y);
    for (const kind of ["dragenter", "dragover", "drop"])
        at.dispatchEvent(
            new DragEvent(kind, { dataTransfer: files, clientX: x, clientY: y, bubbles: true, cancelable: true })
        );
}"""


def test_a_json_dropped_on_the_node_is_a_pose_and_no_workflow(page, comfy, poses, mode):
    one_node(page, "EchoMimicV2LoadPose")
    page.evaluate(DROP, [poses[0].read_text(), "dropped.json"])
    page.wait_for_function(
        "() => window.app.graph._nodes[0]?.widgets[0].value === 'poses/dropped.json'", timeout=10_000
    )
    page.wait_for_timeout(1000)
    assert page.evaluate("() => window.app.graph._nodes.map(node => node.type)") == ["EchoMimicV2LoadPose"]
    assert (comfy.base / "input" / "poses" / "dropped.json").read_bytes() == poses[0].read_bytes()

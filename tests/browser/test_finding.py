"""Nodes are found in ComfyUI's own page: by the words people type, and by a wire dropped on empty canvas."""

import os

import pytest
from comfy_page import comfy_page

RESULTS = "() => [...document.querySelectorAll('[role=option]')].map(entry => entry.textContent)"
MENU = "() => [...document.querySelectorAll('.litecontextmenu .litemenu-entry')].map(entry => entry.textContent)"
OFFERED = "type => [LiteGraph.slot_types_default_out[type] ?? [], LiteGraph.slot_types_default_in[type] ?? []]"
ADD = """([name, slot]) => {
    window.app.graph.clear();
    const node = LiteGraph.createNode(name);
    window.app.graph.add(node);
    const {canvas, ds} = window.app.canvas;
    [ds.scale, ds.offset[0], ds.offset[1]] = [1, 0, 0];
    node.pos = [200, 200];
    const [x, y] = node.getConnectionPos(false, slot);
    const {left, top} = canvas.getBoundingClientRect();
    return [left + x, top + y];
}"""
COLORS = """type => {
    const style = getComputedStyle(document.documentElement);
    const classic = window.app.canvas.default_connection_color_byType[type];
    return [classic, style.getPropertyValue(`--color-datatype-${type}`).trim()];
}"""
FIRST_FIVE = 5
BESIDES = ("Search", "Add Node", "Add Reroute", "Reroute")  # What the page offers for every wire
TYPES = ("POSE", "REFERENCE", "REFERENCE_NET", "AUDIO", "AUDIO_ENCODER", "APDH", "GESTURES")


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy) as page:
        yield page


@pytest.fixture
def search(page, object_info):
    """The node search of the page: words in, entries out."""
    if not object_info["EchoMimicV2Sampler"].get("search_aliases"):
        pytest.skip("this ComfyUI does not know search words")
    page.mouse.dblclick(1000, 700)
    page.wait_for_function("() => document.activeElement?.tagName === 'INPUT'")

    def find(words: str) -> list[str]:
        page.keyboard.type(words)
        page.wait_for_timeout(700)
        return page.evaluate(RESULTS)

    yield find
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('[role=option]')")


@pytest.mark.parametrize("words", ["talking head", "avatar", "lip sync", "digital human", "数字人", "口播", "对口型"])
def test_words_of_the_main_job_find_loader_and_sampler_first(search, words):
    first = "\n".join(search(words)[:FIRST_FIVE])
    assert "Load EchoMimicV2" in first and "EchoMimicV2 Sampler" in first


@pytest.mark.parametrize(
    ("words", "node"),
    [
        ("gesture", "Gesture Library"),
        ("手势", "Gesture Library"),
        ("mocap", "Hand Pose"),
        ("动作捕捉", "Hand Pose"),
        ("dwpose", "Hand Pose"),
        ("voice", "Voice Gestures"),
        ("语音", "Voice Gestures"),
        ("speech to video", "EchoMimicV2 Sampler"),
        ("portrait animation", "EchoMimicV2 Sampler"),
    ],
)
def test_words_of_one_step_find_its_node(search, words, node):
    assert node in "\n".join(search(words))


@pytest.mark.parametrize(
    ("kind", "takers"),
    [
        ("POSE", {"EchoMimicV2Sampler", "EchoMimicV2AlignPose", "EchoMimicV2PreviewPose", "EchoMimicV2EditPose"}),
        ("REFERENCE", {"EchoMimicV2Sampler", "EchoMimicV2LongSampler", "EchoMimicV2APDHConditioning"}),
        ("AUDIO", {"EchoMimicV2Sampler", "EchoMimicV2LongSampler", "EchoMimicV2APDHConditioning"}),
        ("APDH", {"EchoMimicV2Sampler", "EchoMimicV2LongSampler", "EchoMimicV2APDHConditioning"}),
        ("GESTURES", {"EchoMimicV2VoiceGestures"}),
        ("REFERENCE_NET", {"EchoMimicV2ReferenceEncode"}),
        ("AUDIO_ENCODER", {"EchoMimicV2AudioEmbeds"}),
    ],
)
def test_wire_from_an_output_offers_what_takes_it(page, kind, takers):
    assert takers <= set(page.evaluate(OFFERED, f"ECHOMIMIC_{kind}")[0][:FIRST_FIVE])


@pytest.mark.parametrize(
    ("kind", "makers"),
    [
        ("POSE", {"EchoMimicV2PoseLibrary", "EchoMimicV2VoiceGestures", "EchoMimicV2LoadPose", "EchoMimicV2HandPose"}),
        ("REFERENCE", {"EchoMimicV2ReferenceEncode"}),
        ("AUDIO", {"EchoMimicV2AudioEmbeds"}),
        ("APDH", {"EchoMimicV2APDHOptions"}),
        ("GESTURES", {"EchoMimicV2LoadGestures"}),
        ("REFERENCE_NET", {"EchoMimicV2Loader"}),
        ("AUDIO_ENCODER", {"EchoMimicV2Loader"}),
    ],
)
def test_wire_from_an_input_offers_what_makes_it(page, kind, makers):
    assert makers <= set(page.evaluate(OFFERED, f"ECHOMIMIC_{kind}")[1][:FIRST_FIVE])


def test_wires_of_other_packs_keypoints_offer_the_conversion(page):
    takers, makers = page.evaluate(OFFERED, "POSE_KEYPOINT")
    assert "EchoMimicV2PoseFromKeypoints" in takers[:FIRST_FIVE]
    assert "EchoMimicV2PoseToKeypoints" in makers[:FIRST_FIVE]


SAMPLERS = {"EchoMimicV2Sampler", "EchoMimicV2LongSampler", "EchoMimicV2APDHConditioning"}


@pytest.mark.parametrize(
    ("node", "slot", "takers"),
    [
        ("EchoMimicV2LoadPose", 0, {"EchoMimicV2Sampler", "EchoMimicV2AlignPose", "EchoMimicV2PreviewPose"}),
        ("EchoMimicV2ReferenceEncode", 0, SAMPLERS),
        ("EchoMimicV2AudioEmbeds", 0, SAMPLERS),
        ("EchoMimicV2APDHOptions", 0, SAMPLERS),
        ("EchoMimicV2Loader", 1, {"EchoMimicV2ReferenceEncode"}),
        ("EchoMimicV2Loader", 2, {"EchoMimicV2AudioEmbeds"}),
        ("EchoMimicV2LoadGestures", 0, {"EchoMimicV2VoiceGestures"}),
    ],
)
def test_wire_dropped_on_empty_canvas_offers_its_usual_partners(page, node, slot, takers):
    page.evaluate("async () => { await window.app.refreshComboInNodes() }")  # Registers every node once more.
    x, y = page.evaluate(ADD, [node, slot])
    page.wait_for_timeout(500)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 300, y + 150, steps=10)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.litecontextmenu .litemenu-entry')")
    offered = [entry for entry in page.evaluate(MENU) if entry not in BESIDES]
    page.keyboard.press("Escape")
    assert takers <= set(offered[:FIRST_FIVE])


def test_each_socket_type_has_a_colour_of_its_own(page):
    colors = [page.evaluate(COLORS, f"ECHOMIMIC_{kind}") for kind in TYPES]
    assert all(classic and classic == vue for classic, vue in colors)
    assert len({classic for classic, _ in colors}) == len(TYPES)

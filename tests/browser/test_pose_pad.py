"""The Pose Pad as an artist uses it: dragged, undone, saved, opened again, run, timed, mended, found in the picture."""

import io
import json
import os

import numpy as np
import pytest
from comfy_page import comfy_page, load_workflow, run, show_as_vue, visit
from comfy_page import to_prompt as page_to_prompt
from PIL import Image

from echomimic_core.pose.draw import draw_maps
from echomimic_core.pose.gestures import clip
from echomimic_core.pose.pad.mend import mended
from echomimic_core.pose.pad.points import pose
from echomimic_core.pose.pad.value import read

PICTURE = "echomimicv2_example.png"
NODE = "window.app.graph._nodes.find(node => node.type === 'EchoMimicV2PosePad')"
VALUE = f"() => {NODE}.widgets.find(widget => widget.name === 'pad').value"
# Where a handle is in the window.
PLACE = f"""id => {{
    const {{ stage }} = {NODE}.emv2Pad;
    const box = stage.canvas.getBoundingClientRect();
    const at = stage.toElement(stage.handles().find(handle => handle.id === id).at);
    return [box.left + at[0] * stage.stretch, box.top + at[1] * stage.stretch];
}}"""

# Whether the pad knows what it is connected to, and stands in its node, where it stood a frame before.
STANDS = f"""mending => {{
    const {{ pad, state }} = {NODE}.emv2Pad;
    const {{ left, top, width, height }} = pad.getBoundingClientRect();
    const {{ canvas, ds }} = window.app.canvas;
    const node = ds.convertOffsetToCanvas({NODE}.pos);
    const corner = canvas.getBoundingClientRect();
    const away = [left - corner.left - node[0], top - corner.top - node[1]];
    const before = window.emv2Box;
    window.emv2Box = `${{[left, top, width, height]}}`;
    const inNode = away[0] >= 0 && away[0] < 40 && away[1] >= 0 && away[1] < 160;
    return pad.isConnected && state.mending === mending && width > 0 && inNode && before === window.emv2Box;
}}"""


def prompt_of(value: str = "", ground: bool = False) -> dict:
    """A picture on the pad, and what the pad makes in Preview Pose; with `ground` over a clip of the library."""
    gesture = {"gesture": "explaining", "frames": 48, "fps": 24.0, "mirror": False, "energy": 1.0, "seed": 0}
    shown = {"pose": ["2", 0], "max_frames": 3, "body_and_face": True, "contact_sheet": False}
    nodes = {
        "1": {"class_type": "LoadImage", "inputs": {"image": PICTURE}},
        "2": {"class_type": "EchoMimicV2PosePad", "inputs": {"pad": value, "image": ["1", 0]}},
        "3": {"class_type": "EchoMimicV2PreviewPose", "inputs": shown},
    }
    if ground:
        nodes["4"] = {"class_type": "EchoMimicV2PoseLibrary", "inputs": gesture}
        nodes["2"]["inputs"]["pose"] = ["4", 0]
        del nodes["2"]["inputs"]["image"]
    return nodes


@pytest.fixture(scope="module")
def page(comfy):
    if not os.environ.get("CHROMIUM"):
        pytest.skip("no Chromium here: install chromium, or name one in CHROMIUM")
    pytest.importorskip("playwright", reason="the Python package playwright is not installed")
    with comfy_page(comfy) as page:
        page.complaints.clear()  # An older ComfyUI's page asks other servers as it starts.
        yield page
        assert not page.complaints


@pytest.fixture(params=[False, True], ids=["classic", "Nodes 2.0"])
def mode(page, request):
    """Both ways in which the page draws nodes."""
    show_as_vue(page, request.param)
    yield request.param
    show_as_vue(page, False)


def show_pad(page, prompt: dict) -> None:
    """Open a prompt with the pad in full view, and wait for its picture."""
    page.evaluate("async prompt => { await window.app.loadApiJson(prompt, 'pad') }", prompt)
    page.evaluate(
        f"""() => {{
            const pad = {NODE};
            for (const node of window.app.graph._nodes) if (node !== pad) node.pos = [1200, 60 + 300 * node.id];
            pad.pos = [420, 60];
            window.app.canvas.ds.reset();
            window.app.canvas.setDirty(true, true);
        }}"""
    )
    if "image" in prompt["2"]["inputs"]:
        page.wait_for_function(f"() => {NODE}.emv2Pad.state.picture")
    page.evaluate("() => { window.emv2Box = null }")
    page.wait_for_function(STANDS, arg="pose" in prompt["2"]["inputs"])


def drag(page, handle: str, dx: float, dy: float) -> None:
    x, y = page.evaluate(PLACE, handle)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up()
    page.wait_for_function(f"() => !{NODE}.emv2Pad.stage.pointers.size")


def value(page) -> dict:
    """What is on the pad, also where the node keeps nothing because nobody has touched it."""
    shown = f"() => {{ const {{ texts, at }} = {NODE}.emv2Pad.state.history; return texts[at] }}"
    return json.loads(page.evaluate(VALUE) or page.evaluate(shown))


def wrist(page, side: str = "right") -> list[float]:
    return value(page)["keys"][0][side]["wrist"]


def previewed(comfy, prompt: dict) -> list[np.ndarray]:
    """The pictures of Preview Pose, from the API."""
    shown = comfy.run(prompt)["outputs"]["3"]["images"]
    files = (f"/view?filename={one['filename']}&subfolder={one['subfolder']}&type={one['type']}" for one in shown)
    return [np.asarray(Image.open(io.BytesIO(comfy.fetch(path))).convert("RGB")) for path in files]


def drawn(made, frames) -> list[np.ndarray]:
    return list(draw_maps(made, frames, made.height, made.width, ("body", "hands", "face", "lips")))


@pytest.mark.both_ends
def test_dragged_pose_is_undone_saved_opened_again_and_run_to_the_pixel(page, comfy, mode):
    show_pad(page, prompt_of())
    before, place = wrist(page), page.evaluate(f"() => [...{NODE}.pos]")
    drag(page, "wrist 1", -40, 60)
    after = wrist(page)
    assert after[0] < before[0] - 20 and after[1] > before[1] + 30
    assert page.evaluate(f"() => [...{NODE}.pos]") == place
    page.get_by_role("button", name="Fist").click()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert wrist(page) == before
    page.keyboard.press("Control+y")
    assert wrist(page) == after
    drag(page, "turn 1", -50, 40)
    kept = value(page)
    assert kept["keys"][0]["right"]["turn"] < -20
    both = page_to_prompt(page)
    load_workflow(page, json.loads(json.dumps(both["workflow"])))
    assert value(page) == kept
    assert json.loads(both["output"]["2"]["inputs"]["pad"]) == kept
    (shown,) = previewed(comfy, {**prompt_of(), "2": both["output"]["2"]})
    assert np.array_equal(shown, drawn(pose(read(json.dumps(kept))), [0])[0])


@pytest.mark.release
def test_key_frames_make_the_clip_that_the_page_previews(page, comfy, mode):
    show_pad(page, prompt_of())
    page.evaluate(f"() => {NODE}.emv2Pad.state.seek(1.5)")
    drag(page, "wrist 0", 20, -50)
    drag(page, "elbow 1", -20, 10)
    made = value(page)
    assert [key["t"] for key in made["keys"]] == [0, 1.5]
    clip_of_keys = pose(read(json.dumps(made)))
    assert len(clip_of_keys) == 37
    shown = page.evaluate(f"() => {NODE}.emv2Pad.state.pointsAt(0.75).hands")
    assert np.abs(clip_of_keys.hands[18] * (clip_of_keys.width, clip_of_keys.height) - shown).max() < 0.5
    pictures = previewed(comfy, {**prompt_of(json.dumps(made))})
    assert all(map(np.array_equal, pictures, drawn(clip_of_keys, [0, 18, 36])))
    page.keyboard.press("Space")
    page.wait_for_function(f"() => {NODE}.emv2Pad.state.playing && {NODE}.emv2Pad.state.time !== 1.5")
    page.keyboard.press("Space")
    assert page.evaluate(f"() => {NODE}.emv2Pad.state.playing") is False


@pytest.mark.release
def test_drag_over_a_clip_corrects_it_around_its_time(page, comfy, mode):
    show_pad(page, prompt_of(ground=True))
    page.evaluate("() => { window.app.graph.setDirtyCanvas(true, true) }")
    run(page)
    page.wait_for_function(f"() => {NODE}.emv2Pad.state.ground && {NODE}.emv2Pad.state.mending")
    page.evaluate(f"() => {NODE}.emv2Pad.state.seek(1)")
    drag(page, "wrist 1", 30, -60)
    made = value(page)
    assert [list(fix) for fix in made["fixes"]] == [["t", "right"]]
    whole = mended(clip("explaining", 48), read(json.dumps(made)))
    shown = page.evaluate(f"() => {NODE}.emv2Pad.state.pointsAt(1).hands")
    assert np.abs(whole.hands[24] * 768 - shown).max() < 0.5
    pictures = previewed(comfy, prompt_of(json.dumps(made), ground=True))
    assert all(map(np.array_equal, pictures, drawn(whole, [0, 24, 47])))


def test_note_stands_beside_the_picture_and_moves_nothing_as_it_comes_and_goes(page):
    show_pad(page, prompt_of())
    boxes = """() => ['.emv2-pad-stage', '.emv2-pad-note'].map(name => {
        const box = document.querySelector(name).getBoundingClientRect();
        return [box.top, box.bottom];
    })"""
    before = page.evaluate(boxes)
    page.evaluate(f"() => {NODE}.emv2Pad.state.seek(1)")
    drag(page, "wrist 0", 10, -20)
    note(page, "Key frame added")
    assert page.evaluate(boxes) == before and before[1][1] <= before[0][0]


def test_keys_and_fingers_have_alt_and_nothing_reaches_what_is_switched_off(page):
    show_pad(page, prompt_of())
    page.evaluate(f"() => {NODE}.emv2Pad.state.seek(1)")
    drag(page, "wrist 0", 4, -4)
    choose = f"id => {{ const {{ stage, state }} = {NODE}.emv2Pad; state.handle = id; stage.canvas.focus(); }}"
    forearm = f"""() => {{
        const {{ elbows, left }} = {NODE}.emv2Pad.state.value.keys[1];
        return Math.hypot(left.wrist[0] - elbows[0][0], left.wrist[1] - elbows[0][1]);
    }}"""
    page.evaluate(choose, "elbow 0")
    before = page.evaluate(forearm)
    page.keyboard.press("Alt+Shift+ArrowDown")
    page.evaluate(choose, "wrist 0")
    page.keyboard.press("Alt+Shift+ArrowUp")
    after = page.evaluate(forearm)
    assert after > before + 5
    press(page, "As with Alt held")
    drag(page, "wrist 0", 0, -40)
    assert page.evaluate(forearm) > after + 5
    press(page, "Leave this hand out")
    page.wait_for_function("() => document.querySelector('.emv2-pad-shapes').inert")
    kept = value(page)
    page.evaluate(choose, "neck")
    page.evaluate("() => document.querySelector('.emv2-pad-shape').focus()")
    page.keyboard.press("Enter")
    assert value(page) == kept


def press(page, name: str) -> None:
    page.get_by_role("button", name=name).click()


def note(page, words: str) -> None:
    """Wait until the pad says these words."""
    page.wait_for_function("words => document.querySelector('.emv2-pad-note').innerText.includes(words)", arg=words)


@pytest.mark.release
def test_find_sees_the_picture_as_it_arrives_and_moves_no_pose_unasked(page, mode):
    prompt = prompt_of()
    size = {"upscale_method": "bilinear", "width": 384, "height": 288, "crop": "disabled"}
    prompt["5"] = {"class_type": "ImageScale", "inputs": {"image": ["1", 0], **size}}
    prompt["2"]["inputs"]["image"] = ["5", 0]
    show_pad(page, prompt)
    note(page, "Shown as in Load Image")
    press(page, "Detect body")
    page.wait_for_function(f"() => JSON.parse(({VALUE})() || '{{\"picture\": []}}').picture[0] === 384")
    page.wait_for_function(f"() => {NODE}.emv2Pad.state.history.at === 1")
    found = value(page)["keys"][0]
    assert 0.3 * 384 < found["neck"][0] < 0.7 * 384 and found["neck"][1] < 0.8 * 288
    page.evaluate(
        """() => {
            const { widgets } = window.app.graph._nodes.find(node => node.type === 'ImageScale');
            widgets.find(widget => widget.name === 'height').value = 512;
        }"""
    )
    press(page, "Detect body")
    note(page, "Decide first")
    assert value(page)["keys"][0] == found
    press(page, "Move the pose here")
    assert value(page)["picture"] == [384, 512]
    page.keyboard.press("Control+z")
    assert value(page)["keys"][0] == found


@pytest.mark.release
def test_clip_of_another_shape_is_shown_and_the_corrections_moved_there(page, comfy, mode):
    fixes = [{"t": 1, "left": {"move": [40, -60]}}]
    wide = json.dumps({"version": 1, "picture": [640, 480], "fixes": fixes})
    show_pad(page, prompt_of(wide, ground=True))
    note(page, "Press Show")
    assert page.get_by_role("button", name="Preview").is_disabled()
    assert page.locator(".emv2-pad-clock").inner_text() == "–"
    press(page, "Run what feeds")
    note(page, "clip of 640×480; the connected pose is 768×768")
    press(page, "Move the pose here")
    assert value(page)["picture"] == [768, 768] and len(previewed(comfy, page_to_prompt(page)["output"])) == 3


@pytest.mark.release
def test_value_that_the_pad_cannot_show_stays_until_the_artist_starts_again(page, mode):
    newer = '{"version": 2, "picture": [768, 768], "feet": []}'
    show_pad(page, prompt_of(newer))
    note(page, "newer version")
    x, y = page.evaluate(
        f"() => {{ const box = {NODE}.emv2Pad.stage.canvas.getBoundingClientRect(); return [box.x, box.y] }}"
    )
    page.mouse.click(x + 100, y + 100)
    for key in ("m", "k", "ArrowUp", "r"):
        page.keyboard.press(key)
    assert page.evaluate(VALUE) == newer and page_to_prompt(page)["output"]["2"]["inputs"]["pad"] == newer
    press(page, "Start again")
    assert value(page)["version"] == 1
    page.keyboard.press("Control+z")
    assert page.evaluate(VALUE) == newer


@pytest.mark.release
def test_pad_is_used_by_keyboard_alone(page, mode):
    show_pad(page, prompt_of())
    before = wrist(page, "left")
    page.evaluate(f"() => {NODE}.emv2Pad.stage.canvas.focus()")
    page.evaluate(f"() => {{ {NODE}.emv2Pad.state.handle = 'neck' }}")
    for _ in range(20):
        page.keyboard.press(".")
        if page.evaluate(f"() => {NODE}.emv2Pad.state.handle") == "wrist 0":
            break
    for key in ("ArrowRight", "Shift+ArrowUp", "r", "Shift+S"):
        page.keyboard.press(key)
    hand = value(page)["keys"][0]["left"]
    assert np.allclose(np.subtract(hand["wrist"], before), (1, -10), atol=0.11)
    page.keyboard.press("m")
    assert value(page)["keys"][0]["right"]["size"] == hand["size"]
    assert page.evaluate("() => window.app.graph._nodes.length") == 3


@pytest.mark.release
def test_fingers_on_a_screen_drag_and_pinch(page, mode):
    show_pad(page, prompt_of())
    before, session = wrist(page, "left"), page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def touch(kind: str, *points: tuple) -> None:
        touched = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touched})

    x, y = page.evaluate(PLACE, "wrist 0")
    touch("touchStart", (x + 8, y + 8))
    for step in range(1, 5):
        touch("touchMove", (x + 8 + 10 * step, y + 8 - 15 * step))
    touch("touchEnd")
    after = wrist(page, "left")
    assert after[0] > before[0] + 20 and after[1] < before[1] - 40
    x, y = page.evaluate(PLACE, "neck")
    touch("touchStart", (x - 40, y + 90))
    touch("touchStart", (x - 40, y + 90), (x + 40, y + 90))
    for step in range(1, 5):
        touch("touchMove", (x - 40 - 20 * step, y + 90), (x + 40 + 20 * step, y + 90))
    touch("touchEnd")
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert page.evaluate(f"() => {NODE}.emv2Pad.stage.zoom") > 1.5
    assert wrist(page, "left") == after


@pytest.mark.release
def test_pad_speaks_chinese(comfy, page):
    try:
        visit(page, comfy, Comfy_Locale="zh")
        show_pad(page, prompt_of())
        page.get_by_role("button", name="握拳").click()
        assert value(page)["keys"][0]["left"]["angles"][0] > 70
        texts = page.locator(".emv2-pad").inner_text()
        assert not [word for word in ("Fist", "Find", "Thumb", "frame") if word in texts]
    finally:
        visit(page, comfy, Comfy_Locale="en")

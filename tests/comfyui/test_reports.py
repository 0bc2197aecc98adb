"""What a node has to say stands on the node itself."""

import json

import numpy as np
import pytest
from comfy_server import WorkflowError
from heard import Heard
from PIL import Image
from prompts import small
from test_values import graph


@pytest.fixture
def said(comfy):
    """What a node of a graph says while it runs."""

    def run(prompt: dict, node: str, seconds: float = 120) -> str:
        with Heard(comfy.url) as heard:
            comfy.run(prompt, seconds)
            return heard.of(node)

    return run


def test_a_gesture_whose_hands_leave_the_picture_says_which_and_how_often(said, object_info):
    prompt = graph(object_info, "edit", move_x=0.6)
    prompt["library"]["inputs"]["frames"] = 7
    text = said(prompt, "edit")
    assert "The left hand leaves the picture in 7 of 7 frames, mostly at the right." in text and "7 frames" in text
    assert said(graph(object_info, "library", frames=9, gesture="idle"), "library") == "The hands stay in the picture."


def test_keypoints_of_nobody_are_reported(said):
    people = [{"pose_keypoints_2d": [100, 100, 1.0] * 18}]
    frames = [{"canvas_width": 512, "canvas_height": 512, "people": people if index == 1 else []} for index in range(4)]
    prompt = {
        "frames": {"class_type": "StrangeJson", "inputs": {"text": json.dumps(frames)}},
        "pose": {
            "class_type": "EchoMimicV2PoseFromKeypoints",
            "inputs": {"keypoints": ["frames", 0], "source_fps": 24.0, "fps": 24.0},
        },
        "shown": {"class_type": "PreviewAny", "inputs": {"source": ["pose", 0]}},
    }
    assert "There is a person in 1 of 4 frames of the keypoints" in said(prompt, "pose")


def test_save_nodes_say_what_they_saved(said, object_info):
    assert said(graph(object_info, "save", filename="told"), "save").startswith("Saved told")
    prompt = graph(object_info, "library")
    inputs = {"pose": ["library", 0], "filename": "told", "format": "json"}
    prompt["keep"] = {"class_type": "EchoMimicV2SavePose", "inputs": inputs}
    assert said(prompt, "keep") == "saved as poses/told_00001.json"


def test_a_picture_of_nobody_scores_nothing_and_says_that_it_is_the_picture(comfy, said, object_info, real_inputs):
    Image.fromarray(np.full((256, 256, 3), 128, np.uint8)).save(comfy.base / "input" / "grey.png")
    prompt = graph(object_info, "library")
    prompt["grey"] = {"class_type": "LoadImage", "inputs": {"image": "grey.png"}}
    widgets = {"width": 64, "height": 64, "framing": "show hands", "fit_hands": True, "fill": "black"}
    inputs = {"image": ["grey", 0], "pose": ["library", 0], "overlay_frames": 1, **widgets}
    prompt["align"] = {"class_type": "EchoMimicV2AlignPose", "inputs": inputs}
    prompt["score"] = {"class_type": "PreviewAny", "inputs": {"source": ["align", 4]}}
    text = said(prompt, "align")
    assert "as given: 0 of 100" in text and "aligned: 0 of 100" in text and "the pose is not the problem" in text


def test_hand_pose_that_finds_nothing_warns_on_itself(said, object_info, real_inputs):
    prompt = {
        "blank": {"class_type": "EmptyImage", "inputs": {"width": 128, "height": 128, "batch_size": 5, "color": 0}},
        "hands": {
            "class_type": "EchoMimicV2HandPose",
            "inputs": {
                "source": ["blank", 0],
                "source_fps": 24.0,
                "fps": 12.0,
                "start": 0.0,
                "duration": 0.0,
                "smoothing": 0.3,
                "max_gap": 0.5,
                "long_gaps": "hold",
                "download_models": False,
            },
        },
        "shown": {"class_type": "PreviewAny", "inputs": {"source": ["hands", 1]}},
    }
    text = said(prompt, "hands")
    assert text.startswith("No hand was found in any frame, so nothing will guide the hands.")
    assert "2 frames of pose" in text


@pytest.mark.parametrize("kind", ["library", "edit"])
def test_a_pose_of_an_hour_hears_cancel(comfy, object_info, kind):
    """Asked while it works, not after: the whole takes many times as long."""
    heavy = {"mirror": True, "smooth": 0.5, "speed_limit": 1.0, "rotate": 3.0, "length": 61_000, "lengthen": "retime"}
    prompt = graph(object_info, kind, **({"frames": 100_000, "seed": 5} if kind == "library" else heavy))
    prompt["library"]["inputs"]["frames"] = 60_000
    with Heard(comfy.url) as heard:
        id = comfy.queue(prompt, heard.client_id)
        heard.wait_for_progress(kind)
        comfy.post("/interrupt", {})
        with pytest.raises(WorkflowError, match="cancelled"):
            comfy.wait(id, 60)
        assert kind not in heard.texts


def test_a_video_whose_temp_folder_was_emptied_is_made_again(comfy, object_info):
    prompt = small("talking_picture", object_info, frames=3)
    comfy.run(prompt)
    temp = comfy.base / "temp"
    gone = list(temp.glob("EchoMimicV2_*.mp4"))
    assert gone
    for file in gone:
        file.unlink()
    (save,) = (node for node in prompt.values() if node["class_type"] == "SaveVideo")
    save["inputs"]["filename_prefix"] = "video/again"
    assert [file.suffix for file in comfy.outputs(comfy.run(prompt))] == [".mp4"]
    assert "so the video is encoded again" in comfy.log_text()

"""Evaluate in a real ComfyUI: numbers as text, curves as a picture, and sentences for what is missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from comfy_server import WorkflowError

REPO = Path(__file__).resolve().parents[2]
BUNDLES = REPO.parent / "shared" / "models"


@pytest.fixture(scope="module")
def clip(comfy, samples) -> str:
    """The name of a short video with sound in ComfyUI's input folder."""
    from PIL import Image

    from echomimic_core.media.video import VideoWriter, read_audio

    picture = np.array(Image.open(samples / "reference" / "0035.png").convert("RGB").resize((384, 384)))
    sound = read_audio(samples / "audio" / "ultraman.wav")
    with VideoWriter(comfy.base / "input" / "evaluate.mp4", 24, 384, 384, sound) as film:
        for frame in range(12):
            film.write(np.roll(picture, frame, axis=1)[None])
    return "evaluate.mp4"


def prompt(clip: str, reference: dict | None = None, metrics: str = "all") -> dict:
    graph = {
        "1": {"class_type": "LoadVideo", "inputs": {"file": clip}},
        "2": {"class_type": "EchoMimicV2Evaluate", "inputs": {"video": ["1", 0], "metrics": metrics}},
    }
    if reference:
        graph |= {"3": reference}
        graph["2"]["inputs"]["reference"] = ["3", 0]
    return graph


def report(entry: dict) -> str:
    return entry["outputs"]["2"]["text"][0]


def test_a_video_alone_is_told_what_is_missing(comfy, clip):
    entry = comfy.run(prompt(clip))
    assert "PSNR ↑" in report(entry) and "not computed" in report(entry)
    assert "syncnet_v2.model" in report(entry)
    assert len(entry["outputs"]["2"]["images"]) == 2, "no pictures of the table and the curves"


def test_a_video_against_itself_is_perfect(comfy, clip):
    entry = comfy.run(prompt(clip, {"class_type": "LoadVideo", "inputs": {"file": clip}}, "PSNR, SSIM"))
    lines = dict(line.rsplit(maxsplit=1) for line in report(entry).splitlines() if "↑" in line)
    assert lines["PSNR ↑"] == "∞" and lines["SSIM ↑"] == "1.0000"


def test_hands_are_found_with_mediapipe(comfy, clip, samples):
    if not (BUNDLES / "hand_landmarker.task").is_file():
        pytest.skip("no ../shared/models with MediaPipe's bundles")
    folder = comfy.base / "models" / "mediapipe"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("hand_landmarker.task", "pose_landmarker.task"):
        shutil.copy(BUNDLES / name, folder)
    shutil.copy(samples / "reference" / "0035.png", comfy.base / "input" / "evaluate.png")
    picture = {"class_type": "LoadImage", "inputs": {"image": "evaluate.png"}}
    entry = comfy.run(prompt(clip, picture, "hands, hkc"))
    found = next(line for line in report(entry).splitlines() if line.startswith("Hands found"))
    assert float(found.split()[-1]) > 0.9


def test_an_unknown_metric_is_a_sentence(comfy, clip):
    with pytest.raises(WorkflowError, match="there is no metric 'beauty'"):
        comfy.run(prompt(clip, metrics="beauty"))

"""The pose nodes in a real ComfyUI: from a driving video to a talking one, saved and loaded, with sentences."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from comfy_server import WorkflowError
from tiny_models import MODEL_NAME, VAE_NAME

REPO = Path(__file__).resolve().parents[2]
SHARED_MODELS = REPO.parent / "shared" / "models"
SIZE = 96


def node(kind: str, **inputs) -> dict:
    return {"class_type": kind, "inputs": inputs}


def library(gesture="idle", frames=20, **inputs) -> dict:
    return node(
        "EchoMimicV2PoseLibrary",
        **{"gesture": gesture, "frames": frames, "fps": 24.0, "mirror": False, "energy": 1.0, "seed": 0, **inputs},
    )


def preview(pose: list, **inputs) -> dict:
    defaults = {"max_frames": 4, "body_and_face": False, "contact_sheet": False}
    return node("EchoMimicV2PreviewPose", pose=pose, **{**defaults, **inputs})


def hand_pose(source: list, **inputs) -> dict:
    defaults = {
        "source_fps": 24.0,
        "fps": 24.0,
        "start": 0.0,
        "duration": 0.0,
        "smoothing": 0.3,
        "max_gap": 0.5,
        "long_gaps": "hold",
        "download_models": False,
    }
    return node("EchoMimicV2HandPose", source=source, **{**defaults, **inputs})


def edit(pose: list, **inputs) -> dict:
    neutral = {"start_frame": 0, "frames": 0, "mute": "none", "mirror": False, "move_x": 0.0, "move_y": 0.0}
    neutral |= {"scale": 1.0, "rotate": 0.0, "pivot": "frame", "smooth": 0.0, "speed_limit": 0.0}
    neutral |= {"full_brightness": False, "seam": 0, "length": 0, "lengthen": "loop"}
    return node("EchoMimicV2EditPose", pose=pose, **{**neutral, **inputs})


def load_pose(folder: str, **inputs) -> dict:
    return node("EchoMimicV2LoadPose", **{"folder": folder, "start_frame": 0, "frames": 0, "fps": 24.0, **inputs})


def pictures(comfy, entry: dict, name: str) -> list[np.ndarray]:
    shown = entry["outputs"][name]["images"]
    return [cv2.imread(str(comfy.base / item["type"] / item["subfolder"] / item["filename"])) for item in shown]


@pytest.fixture(scope="module")
def mediapipe_models(comfy):
    pytest.importorskip("mediapipe")
    source = Path(os.environ.get("MEDIAPIPE_BUNDLES", SHARED_MODELS))
    if not (source / "pose_landmarker.task").is_file():
        pytest.skip("no MediaPipe models: set MEDIAPIPE_BUNDLES to a folder made by mediapipe_bundle.py")
    folder = comfy.base / "models" / "mediapipe"
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.glob("*.task"):
        shutil.copyfile(file, folder / file.name)


@pytest.fixture(scope="module")
def driving_video(comfy, samples) -> str:
    """A second of a real picture that swings from side to side, 30 frames a second, in the input directory."""
    from echomimic_core.media.video import VideoWriter

    image = cv2.imread(str(samples / "reference" / "0035.png"))
    image = cv2.resize(image, (640, 640), interpolation=cv2.INTER_AREA)[..., ::-1]
    with VideoWriter(comfy.base / "input" / "driving.mp4", 30.0, 640, 640) as film:
        for index in range(30):
            matrix = np.float32([[1, 0, 40 * np.sin(index / 5)], [0, 1, 0]])
            film.write(cv2.warpAffine(image, matrix, (640, 640), borderMode=cv2.BORDER_REPLICATE)[None])
    shutil.copy(samples / "reference" / "0077.png", comfy.base / "input")
    return "driving.mp4"


def test_a_driving_video_makes_the_picture_talk(comfy, driving_video):
    prompt = {
        "1": node("EchoMimicV2Loader", model=MODEL_NAME, weight_dtype="auto", audio_encoder="auto"),
        "2": node("VAELoader", vae_name=VAE_NAME),
        "3": node("LoadImage", image="0077.png"),
        "4": node("LoadAudio", audio="speech.flac"),
        "5": node("LoadVideo", file=driving_video),
        "6": hand_pose(["5", 0]),
        "7": node(
            "EchoMimicV2AlignPose",
            image=["3", 0],
            pose=["6", 0],
            width=SIZE,
            height=SIZE,
            framing="show hands",
            fit_hands=True,
            fill="black",
            overlay_frames=3,
        ),
        "8": node(
            "EchoMimicV2ReferenceEncode",
            reference_net=["1", 1],
            vae=["2", 0],
            image=["7", 0],
            width=SIZE,
            height=SIZE,
            fit="crop",
        ),
        "9": node(
            "EchoMimicV2AudioEmbeds",
            audio_encoder=["1", 2],
            audio=["4", 0],
            fps=24.0,
            start=0.0,
            duration=1.5,
            normalize_loudness=False,
            strength=1.0,
        ),
        "10": node(
            "EchoMimicV2Sampler",
            model=["1", 0],
            reference=["8", 0],
            audio_embeds=["9", 0],
            pose=["7", 1],
            seed=1,
            steps=2,
            cfg=0.0,
            sampler_name="original",
            frames=0,
            pose_fit="ping-pong",
            context_frames=12,
            context_overlap=3,
        ),
        "11": node(
            "EchoMimicV2DecodeToVideo", samples=["10", 0], vae=["2", 0], audio=["9", 1], fps=24.0, frames_per_batch=4
        ),
        "12": node("SaveVideo", video=["11", 0], filename_prefix="driven", format="mp4", codec="h264"),
        "13": node("PreviewAny", source=["6", 1]),
        "14": node("PreviewAny", source=["7", 3]),
    }
    entry = comfy.run(prompt)
    assert "30 frames; hands found: left 100%, right 100%" in entry["outputs"]["13"]["text"][0]
    assert float(entry["outputs"]["14"]["text"][0]) > 70
    assert len(pictures(comfy, entry, "7")) == 3
    (film,) = (path for path in comfy.outputs(entry) if path.suffix == ".mp4")
    capture = cv2.VideoCapture(str(film))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 36


def test_a_picture_batch_is_a_source_too(comfy, mediapipe_models, driving_video):
    prompt = {
        "1": node("LoadImage", image="0077.png"),
        "2": node("RepeatImageBatch", image=["1", 0], amount=3),
        "3": hand_pose(["2", 0], source_fps=12.0),
        "4": preview(["3", 0], max_frames=0),
    }
    assert len(pictures(comfy, comfy.run(prompt), "4")) == 6


def test_missing_models_are_named_with_their_links(comfy, samples):
    folder = comfy.base / "models" / "mediapipe"
    away = folder.with_name("mediapipe_away")
    if folder.exists():
        folder.rename(away)
    shutil.copy(samples / "reference" / "0077.png", comfy.base / "input")
    try:
        package = hand_pose(["1", 0], fps=23.0, detector="mediapipe")
        prompt = {"1": node("LoadImage", image="0077.png"), "2": package, "3": preview(["2", 0])}
        with pytest.raises(
            WorkflowError, match="hand and the pose was not found in .*mediapipe.*storage.googleapis.com"
        ):
            comfy.run(prompt)
    finally:
        if away.exists():
            away.rename(folder)


def test_the_preview_is_the_models_map_and_over_a_picture_an_overlay(comfy):
    prompt = {
        "1": library("waving", 30),
        "2": preview(["1", 0]),
        "3": node("EmptyImage", width=128, height=96, batch_size=1, color=0xFFFFFF),
        "4": preview(["1", 0], image=["3", 0], contact_sheet=True, body_and_face=True),
    }
    entry = comfy.run(prompt)
    maps, sheet = pictures(comfy, entry, "2"), pictures(comfy, entry, "4")
    assert [m.shape for m in maps] == [(768, 768, 3)] * 4
    from echomimic_core.pose import draw, gestures

    expected = draw.draw_maps(gestures.clip("waving", 30), [0, 10, 19, 29], 768, 768)
    for shown, drawn in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(shown[..., ::-1], drawn)
    assert len(sheet) == 1 and 100 < sheet[0].mean() < 255


@pytest.mark.parametrize("kind", ("json", "safetensors"))
def test_a_saved_pose_is_found_and_loaded(comfy, kind):
    save = {
        "1": library("counting", 25),
        "2": node("EchoMimicV2SavePose", pose=["1", 0], filename=f"my/{kind}", format=kind),
    }
    first = comfy.run(save)["outputs"]["2"]["text"][0]
    assert first == f"saved as poses/my/{kind}_00001.{kind}"
    name = f"my/{kind}_00001.{kind} [output]"
    options = comfy.get("/object_info/EchoMimicV2LoadPose")["EchoMimicV2LoadPose"]["input"]["required"]["folder"][1]
    assert name in options["options"]
    entry = comfy.run({"1": load_pose(name, start_frame=5, frames=10), "2": preview(["1", 0], max_frames=0)})
    assert len(pictures(comfy, entry, "2")) == 10
    save["1"] = library("idle", 25)
    assert comfy.run(save)["outputs"]["2"]["text"][0].endswith("_00002." + kind)


def test_editing_blending_and_keypoints_chain(comfy):
    prompt = {
        "1": library("explaining", 30),
        "2": library("waving", 30, mirror=True),
        "3": node("EchoMimicV2BlendPose", first=["1", 0], second=["2", 0], transition=10),
        "4": edit(["3", 0], start_frame=2, mirror=True, smooth=0.3, seam=6, length=60, lengthen="retime"),
        "5": node("EchoMimicV2PoseToKeypoints", pose=["4", 0], keep_scores=True, min_score=0.3),
        "6": node("EchoMimicV2PoseFromKeypoints", keypoints=["5", 0], source_fps=24.0, fps=12.0),
        "7": preview(["6", 0], max_frames=0),
        "8": node("PreviewAny", source=["4", 1]),
    }
    entry = comfy.run(prompt)
    assert entry["outputs"]["8"]["text"] == ["60"]
    # Thirty frames, of which the node itself shows sixteen.
    assert len(pictures(comfy, entry, "7")) == 16


@pytest.mark.parametrize("name", ("../../etc", "/etc", "..", "nothing/here", "clip [models]", ""))
def test_no_path_outside_of_comfyui_and_no_missing_pose(comfy, name):
    with pytest.raises(WorkflowError, match="outside ComfyUI's own folders|there is no pose"):
        comfy.run({"1": load_pose(name), "2": preview(["1", 0])})


def test_nothing_is_saved_outside_of_the_output_directory(comfy):
    prompt = {"1": library(), "2": node("EchoMimicV2SavePose", pose=["1", 0], filename="../../escaped", format="json")}
    with pytest.raises(WorkflowError, match="points outside the output folder"):
        comfy.run(prompt)


def test_a_malicious_pose_folder_runs_nothing(comfy, tmp_path):
    class Runs:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    folder = comfy.base / "input" / "bad_pose"
    folder.mkdir(exist_ok=True)
    array = np.empty((), object)
    array[()] = {"hands": Runs()}
    with open(folder / "0.npy", "wb") as file:
        np.lib.format.write_array(file, array, allow_pickle=True)
    with pytest.raises(WorkflowError, match="0.npy was not opened"):
        comfy.run({"1": load_pose("bad_pose"), "2": preview(["1", 0])})
    assert not (tmp_path / "ran").exists()


def test_a_changed_pose_file_is_read_again(comfy):
    from echomimic_core.pose import files, gestures

    path = comfy.base / "input" / "changing.json"
    prompt = {"1": load_pose("changing.json"), "2": preview(["1", 0], max_frames=0)}
    counts = []
    for frames in (3, 5):
        path.unlink(missing_ok=True)
        files.save(gestures.clip("idle", frames), path)
        counts.append(len(pictures(comfy, comfy.run(prompt), "2")))
    assert counts == [3, 5]


def test_the_library_offers_what_the_core_has(comfy):
    from echomimic_core.pose import gestures

    info = comfy.get("/object_info/EchoMimicV2PoseLibrary")["EchoMimicV2PoseLibrary"]["input"]["required"]
    assert info["gesture"][1]["options"] == gestures.names()

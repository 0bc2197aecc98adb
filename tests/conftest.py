"""Fixtures that several kinds of tests share: the real inputs, and one real ComfyUI with this pack in it."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"
REAL = SimpleNamespace(picture="0035.png", voice="echomimicv2_woman.wav", pose="01", video="driving.mp4")

sys.path[:0] = [str(REPO / folder) for folder in ("demo", "tests/comfyui", "tests/browser")]


def pytest_addoption(parser):
    parser.addoption(
        "--freeze-schema", action="store_true", help="write the nodes' ids and inputs to tests/comfyui/schema.json"
    )


# Rooms and files whose tests run networks, processes or videos: left out of the inner loop (`just fast`).
WORK = (
    *(
        "benchmarks",
        "bridge",
        "demo",
        "drawn_world",
        "evaluation",
        "landmarks",
        "media",
        "networks",
        "training",
        "workers",
    ),
    *("workers", "test_compile.py", "test_memory.py", "test_segments.py", "test_speed.py", "test_dtypes.py"),
    *(
        "test_team.py",
        "test_durable.py",
        "test_detect.py",
        "test_transfer.py",
        "test_checkpoints.py",
        "test_audio.py",
        "test_gestures.py",
        "test_long_poses.py",
    ),
    *(
        "test_wheel.py",
        "test_beside_mediapipe.py",
        "test_ladder.py",
        "test_raster.py",
        "test_people.py",
        "test_paste.py",
    ),
)


def pytest_collection_modifyitems(items):
    """Mark what does work, so that the inner loop takes seconds; slow files come first, so that none runs alone at the
    end while other cores wait."""
    for item in items:
        if set(Path(item.path).parts) & set(WORK) and "unit" in Path(item.path).parts:
            item.add_marker(pytest.mark.work)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real pictures, voices and poses beside the checkout; skips where there is none."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("no ../shared/samples beside this checkout")
    return folder


@pytest.fixture(scope="session")
def hub():
    """A stand-in for the Hugging Face hub, which the `comfy` of the tests asks; its files are what tests add."""
    from hub_server import HubServer

    server = HubServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def comfy(tmp_path_factory, hub):
    """A running ComfyUI with this pack, tiny models, and the inputs of the demo; one for each process of tests."""
    if not os.environ.get("COMFYUI_PATH"):
        pytest.skip("no ComfyUI: start the tests by python3 tests/run.py, or set COMFYUI_PATH")
    import tiny_models
    from comfy_server import ComfyServer
    from comfy_setup import CPU_ARGUMENTS, Installation, make_base

    sys.path.insert(0, str(REPO))
    base = make_base(tmp_path_factory.mktemp("comfyui"))
    tiny_models.write(base / "models")
    for path in (REPO / "demo" / "inputs").iterdir():
        shutil.copy(path, base / "input")
    shutil.copy(REPO / "tests" / "comfyui" / "strange_nodes.py", base / "custom_nodes")
    paths = base / "extra_model_paths.yaml"  # JSON is YAML
    paths.write_text(json.dumps({"elsewhere": {"echomimic": str(base / "elsewhere"), "mediapipe": "detectors"}}))
    arguments = (*CPU_ARGUMENTS, "--extra-model-paths-config", str(paths))
    os.environ["HF_ENDPOINT"] = hub.url
    installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
    with ComfyServer(installation, base, arguments) as server:
        yield server


@pytest.fixture(scope="session")
def real_inputs(comfy, samples) -> SimpleNamespace:
    """Names of a real picture, Mandarin speech, a released pose folder and a driving video, ready to be loaded."""
    folder = comfy.base / "input"
    shutil.copy(samples / "reference" / REAL.picture, folder)
    shutil.copy(samples / "audio" / REAL.voice, folder)
    shutil.copytree(samples / "pose" / REAL.pose, folder / REAL.pose, dirs_exist_ok=True)
    detectors = comfy.base / "models" / "mediapipe"
    detectors.mkdir(exist_ok=True)
    for path in (SHARED / "models").glob("*.task"):
        shutil.copy(path, detectors)
    film_a_pan(folder / REAL.picture, folder / REAL.video)
    return REAL


def film_a_pan(picture: Path, target: Path, frames: int = 16, size: int = 512) -> None:
    """A short video in which a picture moves slowly to the side."""
    import numpy as np
    from PIL import Image

    from echomimic_core.media.video import VideoWriter

    pixels = np.asarray(Image.open(picture).convert("RGB").resize((size, size)))
    with VideoWriter(target, 24.0, size, size, None) as film:
        film.write(np.stack([np.roll(pixels, 2 * frame, axis=1) for frame in range(frames)]))


@pytest.fixture(scope="session")
def object_info(comfy) -> dict:
    """ComfyUI's own description of every node."""
    return comfy.get("/object_info")

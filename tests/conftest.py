"""Fixtures that several kinds of tests share: the real inputs, and one real ComfyUI with this pack in it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"

sys.path[:0] = [str(REPO / "demo"), str(REPO / "tests" / "browser")]


def pytest_addoption(parser):
    parser.addoption(
        "--freeze-schema", action="store_true", help="write the nodes' ids and inputs to tests/comfyui/schema.json"
    )


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real pictures, voices and poses beside the checkout; skips where there is none."""
    folder = SHARED / "samples"
    if not folder.is_dir():
        pytest.skip("no ../shared/samples beside this checkout")
    return folder


@pytest.fixture(scope="session")
def comfy(tmp_path_factory):
    """A running ComfyUI with this pack, tiny models, and the inputs of the demo; the same for all tests."""
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
    installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
    with ComfyServer(installation, base, CPU_ARGUMENTS) as server:
        yield server


@pytest.fixture(scope="session")
def object_info(comfy) -> dict:
    """ComfyUI's own description of every node."""
    return comfy.get("/object_info")

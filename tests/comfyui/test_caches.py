"""ComfyUI's caches look at every output between two nodes: a VAE that nobody has read answers without reading."""

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_models
from comfy_server import ComfyServer, WorkflowError
from comfy_setup import CPU_ARGUMENTS, Installation, make_base
from prompts import small

FLAGS = {
    "as it comes": (),
    "no cache": ("--cache-none",),
    "classic": ("--cache-classic",),
    "five nodes": ("--cache-lru", "5"),
    "never enough memory": ("--cache-ram", "1000"),
}
IN_SHORT = ("as it comes", "never enough memory")
RUN_SECONDS = 120


@contextmanager
def comfy_without_vae(folder: Path, comfyui: Path, flags: tuple[str, ...]):
    """A running ComfyUI with the tiny model and the demo's inputs, but no VAE."""
    base = make_base(folder)
    tiny_models.write(base / "models")
    shutil.rmtree(base / "models" / "vae")
    for path in (Path(__file__).resolve().parents[2] / "demo" / "inputs").iterdir():
        shutil.copy(path, base / "input")
    with ComfyServer(Installation(comfyui, Path(sys.executable)), base, (*CPU_ARGUMENTS, *flags)) as server:
        yield server


def loading(weight_dtype: str) -> dict:
    """A graph that loads the model and leaves its VAE unwired."""
    loader = {"model": tiny_models.MODEL_NAME, "weight_dtype": weight_dtype, "audio_encoder": "auto"}
    return {
        "1": {"class_type": "EchoMimicV2Loader", "inputs": loader},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(flags, id=name, marks=() if name in IN_SHORT else pytest.mark.release)
        for name, flags in FLAGS.items()
    ],
)
def test_an_unread_vae_never_stops_the_queue(comfy, tmp_path, flags):
    with comfy_without_vae(tmp_path, comfy.installation.comfyui, flags) as server:
        for weight_dtype in ("auto", "float32", "float32", "bfloat16"):
            server.run(loading(weight_dtype), RUN_SECONDS)
        assert "EchoMimicV2: VAE of" not in server.log_text()
        if not flags:
            check_that_a_vae_is_found_once_it_is_there(server, comfy.base / "models" / "vae" / tiny_models.VAE_NAME)


def check_that_a_vae_is_found_once_it_is_there(server: ComfyServer, vae: Path) -> None:
    wired = small("quick_start", server.get("/object_info"), frames=2)
    with pytest.raises(WorkflowError, match="sd-vae-ft-mse"):
        server.run(wired, RUN_SECONDS)
    (server.base / "models" / "vae").mkdir()
    shutil.copy(vae, server.base / "models" / "vae")
    server.run(wired, RUN_SECONDS)
    server.run(loading("float16"), RUN_SECONDS)

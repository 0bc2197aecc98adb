"""What is installed, uploaded and scanned: nothing that could break or endanger an artist's ComfyUI."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOMS = ("nodes", "bridge", "echomimic_core")
SOURCES = sorted([*(path for room in ROOMS for path in (REPO / room).rglob("*.py")), REPO / "__init__.py"])
CORE = [path for path in SOURCES if "echomimic_core" in path.parts]

# Modules that ComfyUI is, or installs for itself on every machine.
COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfyui_version", "folder_paths", "latent_preview", "node_helpers"}
COMFYUI |= {"comfy_extras", "nodes", "server"}
COMFYUI_PACKAGES = {"torch", "torchvision", "numpy", "PIL", "psutil", "scipy", "tqdm", "yaml"}
# What ComfyUI's own requirements bring to every machine, of which ours may name some.
BROUGHT_BY_COMFYUI = {
    "av",
    "einops",
    "huggingface_hub",  # By transformers.
    "numpy",
    "pillow",
    "psutil",
    "pyyaml",
    "safetensors",
    "scipy",
    "tqdm",
    "transformers",
}
# Extras and choices: what asks for them says so where they are missing.
EXTRAS = {
    "accelerate",
    "bitsandbytes",
    "cv2",
    "diffusers",
    "dlib",
    "fsspec",
    "librosa",
    "matplotlib",
    "mediapipe",
    "onnxruntime",
    "peft",
    "ray",
    "tensorboard",
}
EXTRAS |= {"tflite", "triton"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"subprocess", "pip", "pickle5", "urllib", "requests", "httpx", "aiohttp", "socket"}
# The one download there is: MediaPipe's models, by a switch of Hand Pose that is off.
DOWNLOADS_WHEN_ASKED = {"echomimic_core/files/transfer.py": {"urllib"}}


def requirements() -> set[str]:
    lines = (line.split("#")[0].strip() for line in (REPO / "requirements.txt").read_text().splitlines())
    return {re.split(r"[<>=!~;\s\[]", line)[0] for line in lines if line}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found


def third_party() -> dict[str, Path]:
    known = set(sys.stdlib_module_names) | COMFYUI | COMFYUI_PACKAGES | EXTRAS
    return {name: path for path in SOURCES for name in imports(path) - known}


def test_requirements_name_only_what_comfyui_brings_in_any_version():
    assert requirements() <= BROUGHT_BY_COMFYUI - {"numpy"}
    lines = (line.split("#")[0].strip() for line in (REPO / "requirements.txt").read_text().splitlines())
    assert not [line for line in lines if re.search(r"[<>=~!;]", line)]


def test_installing_the_requirements_beside_comfyui_changes_nothing():
    names = {name: name.replace("_", "-") for name in requirements()}
    absent = [name for name in names.values() if not is_installed(name)]
    if absent or not is_installed("pip"):
        pytest.skip(f"not an environment of ComfyUI: {', '.join(absent) or 'pip'} is not installed")
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "-r", str(REPO / "requirements.txt")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout


def is_installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def test_every_import_is_required():
    assert not {name: str(path) for name, path in third_party().items() if name not in requirements()}


def test_every_requirement_is_used():
    assert requirements() <= set(third_party())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPO)))
def test_nothing_that_a_scanner_flags(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & FORBIDDEN_CALLS
    forbidden = FORBIDDEN_MODULES - DOWNLOADS_WHEN_ASKED.get(path.relative_to(REPO).as_posix(), set())
    assert not imports(path) & forbidden


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(REPO)))
def test_core_knows_nothing_of_comfyui(path):
    if path.name != "runtime.py":
        assert not imports(path) & COMFYUI


def test_importing_the_pack_outside_comfyui_does_nothing():
    code = (
        "import importlib.util, sys\n"
        "before = set(sys.modules)\n"
        "spec = importlib.util.spec_from_file_location('pack', sys.argv[1])\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec))\n"
        "print(*(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(REPO / "__init__.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

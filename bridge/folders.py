"""Where poses and the models for them lie in ComfyUI's own folders, and the names under which nodes offer poses."""

import contextlib
import os
from pathlib import Path

import folder_paths

from ..echomimic_core.files.durable import make_folder, sweep, write_bytes
from ..echomimic_core.files.names import is_hidden

MODEL_FOLDERS = ("echomimic", "mediapipe")

# What the templates begin with, and under which name it gets into the input folder.
EXAMPLES_FOLDER = Path(__file__).resolve().parents[1] / "workflows" / "inputs"
EXAMPLES = {
    **{
        name: name
        for name in (*(f"echomimicv2_example.{end}" for end in ("png", "flac", "mp4")), "echomimicv2_scene.png")
    },
    "echomimicv2_voices/first voice.flac": "echomimicv2_example.flac",
    "echomimicv2_voices/second voice.flac": "echomimicv2_example.flac",
}

SUFFIXES = (".json", ".safetensors", ".zip")

# A name without a mark is a path inside the input directory, as in core's nodes.
MODELS_MARK = " [models]"
OUTPUT_MARK = " [output]"

# Pose folders lie near the top; deeper searches would make the node list slow on large input directories.
MAX_DEPTH = 3


def register_model_folders() -> None:
    """Tell ComfyUI of `models/echomimic` and `models/mediapipe`, besides those of extra_model_paths.yaml.

    Half a model that a killed ComfyUI left there, gigabytes of it, is removed.
    """
    for name in MODEL_FOLDERS:
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
        for folder in model_folders(name):
            sweep(Path(folder))
    with contextlib.suppress(OSError):  # A convenience: an artist finds the folders that the README speaks of.
        for folder in ("echomimic/poses", "mediapipe"):
            os.makedirs(os.path.join(folder_paths.models_dir, folder), exist_ok=True)


def offer_examples() -> None:
    """Put the templates' picture, voices and video into ComfyUI's input folder, where they are not there yet."""
    folder = Path(folder_paths.get_input_directory())
    for name, source in EXAMPLES.items():
        # A convenience: a folder that cannot be written to is no reason to stop.
        with contextlib.suppress(OSError, ValueError):
            if not os.path.lexists(folder / name):
                make_folder((folder / name).parent)
                write_bytes(folder / name, (EXAMPLES_FOLDER / source).read_bytes(), replace=False)


def model_folders(kind: str) -> list[str]:
    """ComfyUI's folders for models of a kind; `models/<kind>` where nobody named any."""
    try:
        return folder_paths.get_folder_paths(kind)
    except KeyError:
        return [os.path.join(folder_paths.models_dir, kind)]


def _roots() -> list[tuple[str, Path]]:
    """(mark, directory) of every place where poses are looked for."""
    roots = [("", Path(folder_paths.get_input_directory()))]
    roots += [(MODELS_MARK, Path(models_dir) / "poses") for models_dir in model_folders("echomimic")]
    return [*roots, (OUTPUT_MARK, output_directory())]


def output_directory() -> Path:
    """Where Save Pose writes."""
    return Path(folder_paths.get_output_directory()) / "poses"


def list_poses() -> list[str]:
    """Names of all pose folders and pose files."""
    names = []
    for mark, root in _roots():
        for folder, subfolders, files in os.walk(root, followlinks=True):
            place = Path(folder).relative_to(root)
            if len(place.parts) >= MAX_DEPTH:
                subfolders.clear()
            subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
            # A link to what is gone is no pose.
            files = [name for name in files if not is_hidden(name) and os.path.isfile(os.path.join(folder, name))]
            if place.parts and any(name.endswith(".npy") for name in files):
                names.append(place.as_posix() + mark)
            names += sorted((place / name).as_posix() + mark for name in files if name.endswith(SUFFIXES))
    return list(dict.fromkeys(names))


def find_pose(name: str) -> Path:
    """The folder or file of a name as `list_poses` gives it.

    Raises
    ------
    ValueError : the name leads out of ComfyUI's folders, or nothing is there.
    """
    mark = next((mark for mark in (MODELS_MARK, OUTPUT_MARK) if name.endswith(mark)), "")
    relative = name.removesuffix(mark)
    looked = []
    for root_mark, root in _roots():
        if root_mark != mark:
            continue
        base = os.path.abspath(root)
        path = os.path.abspath(os.path.join(base, relative))
        if not relative or not Path(path).is_relative_to(base) or path == base:
            raise ValueError(f"the pose {name!r} is outside ComfyUI's own folders: choose one from the list")
        if os.path.exists(path):
            return Path(path)
        looked.append(path)
    raise ValueError(
        f"there is no pose {name!r} (searched: {' and '.join(looked)}). Upload one with the node's button, or put the "
        "pose folder, or a .json, .safetensors or .zip of one, into ComfyUI's input directory or "
        "models/echomimic/poses, then press R to refresh"
    )

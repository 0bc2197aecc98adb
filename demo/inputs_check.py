"""What the user gives the demo, checked before anything is started: options at once, files before ComfyUI starts."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from comfy_setup import SetupError, say, tail

SMALLEST, LARGEST, GRID = 64, 2048, 8  # Pixels, the limits of Reference Encode
MOST_FRAMES = 1_000_000  # The sampler's limit
RELEASED = ("standard", "accelerated")
POSE_FILES = (".json", ".safetensors", ".zip")
POSE_FORMAT = "echomimicv2-pose"
PICTURES = "a picture, such as .png or .jpg"
SOUNDS = "a sound, such as .wav, .flac or .mp3, or a video with sound"
POSES = "a pose folder (0.npy, 1.npy, ...) or a pose file (.json, .safetensors, .zip)"


def check_options(options: argparse.Namespace, default_output: Path) -> None:
    """Make the paths absolute and raise SetupError with a sentence for every option that cannot work."""
    for name in ("image", "audio", "pose", "output"):
        path = getattr(options, name)
        if path is not None:
            setattr(options, name, path.expanduser().resolve())
    problems = [
        *(size_problem(f"--{name}", getattr(options, name)) for name in ("width", "height")),
        file_problem("--image", options.image, PICTURES),
        file_problem("--audio", options.audio, SOUNDS),
        None if options.pose is None else pose_problem(options.pose),
        output_problem(options.output, default_output),
        model_problem(options.model),
    ]
    if not 0 <= options.frames <= MOST_FRAMES:
        problems.append(
            f"--frames is {options.frames}, but must be 1 to {MOST_FRAMES}, or 0 for as many as the voice is long."
        )
    raise_all(problems)


def raise_all(problems: list[str | None]) -> None:
    found = [problem for problem in problems if problem]
    if found:
        raise SetupError("\n".join(found))


def size_problem(option: str, value: int | None) -> str | None:
    if not value or (SMALLEST <= value <= LARGEST and value % GRID == 0):
        return None
    nearest = min(max(round(value / GRID) * GRID, SMALLEST), LARGEST)
    return (
        f"{option} is {value}, but must be a multiple of {GRID} from {SMALLEST} to {LARGEST}: the nearest is {nearest}."
    )


def file_problem(option: str, path: Path, wanted: str) -> str | None:
    if path.is_dir():
        return f"{option} is {path}, but that is a folder: give {wanted}."
    if not path.exists():
        return f"{option} is {path}, but there is no such file."
    try:
        with path.open("rb") as file:
            head = file.read(1)
    except OSError as error:
        return f"{option} is {path}, but that cannot be read ({error.strerror})."
    return None if head else f"{option} is {path}, but the file is empty: give {wanted}."


def pose_problem(path: Path) -> str | None:
    """Say what is wrong with a pose as far as its name and JSON tell; its numbers are read by the pack's own code."""
    if path.is_dir():
        if any(path.glob("*.npy")):
            return None
        return f"--pose is {path}, but there is no .npy file in this folder: give {POSES}."
    if path.suffix == ".npy" and path.exists():
        return f"--pose is {path}, but that is one frame of a pose: give its folder, {path.parent}."
    if path.suffix not in POSE_FILES and path.exists():
        return f"--pose is {path}, but this is no pose: give {POSES}. Hand Pose makes one from a video."
    problem = file_problem("--pose", path, POSES)
    if problem or path.suffix != ".json":
        return problem
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return f"--pose is {path}, but this is not JSON ({error}): save the pose again."
    if not isinstance(content, dict) or content.get("format") != POSE_FORMAT:
        return f"--pose is {path}, but this JSON is no pose file (its format is not {POSE_FORMAT}): give {POSES}."
    return None


def output_problem(path: Path | None, default: Path) -> str | None:
    """Say why no video can be written; tries it in the first folder above that exists."""
    if path is None:
        option, folder = "The video's folder", default
    elif path.is_dir():
        return f"--output is {path}, but that is a folder: name a file in it, such as {path / 'talking.mp4'}."
    elif path.suffix.lower() != ".mp4":
        return f"--output is {path}, but the video is an .mp4: let its name end so."
    elif path.exists():
        return f"--output is {path}, which exists: give another name, nothing is overwritten."
    else:
        option, folder = "--output", path.parent
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return f"{option} is {path or default}, but nothing can be written to {existing} ({error.strerror})."


def model_problem(model: str | None) -> str | None:
    if not model or model in RELEASED:
        return None
    path = Path(model).expanduser().resolve()
    if not path.exists():
        return f"--model is {model}, but this is neither standard nor accelerated, and there is no file {path}."
    problem = file_problem("--model", path, "a one-file model (.safetensors)")
    if problem or path.suffix == ".safetensors":
        return problem
    return (
        f"--model is {path}, but a one-file model is a .safetensors of Save Model. Released .pth files belong into "
        "models/echomimic: choose them by --model standard or --model accelerated."
    )


def check_files(options: argparse.Namespace, python: Path) -> None:
    """Open picture, sound and pose by a Python that has Pillow, PyAV and numpy; SetupError names what is wrong.

    What is odd but works, such as a silent voice, is only said.
    """
    files = [options.image, options.audio, *([options.pose] if options.pose else [])]
    command = [python, Path(__file__).with_name("probe_files.py"), *files]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"The picture, the voice and the pose could not be looked at:\n{tail(done.stderr)}")
    found = json.loads(done.stdout)
    raise_all(found["problems"])
    for note in found["notes"]:
        say(note)

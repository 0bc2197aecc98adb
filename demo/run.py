"""The main job with one command: python3 demo/run.py (standard library only, any OS).

Sets up a real ComfyUI with this pack (see comfy_setup.py), runs the first template on a picture and a voice, with hands
from the voice or from a pose, and prints the path of the video in its last line. --help tells how to give it your own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from comfy_progress import Progress, clock
from comfy_server import ComfyServer, WorkflowError
from comfy_setup import CACHE, REPO, Installation, SetupError, device_arguments, make_base, prepare, say, tail
from comfy_workflow import change, to_prompt
from inputs_check import check_files, check_options
from model_choice import TINY_MODEL, Choice, choose

INPUTS = REPO / "demo" / "inputs"
OUTPUT = REPO / "demo" / "output"
WORKFLOW = REPO / "workflows" / "EchoMimicV2_1_talking_photo_lip_sync_avatar.json"
PATIENCE_SECONDS = 24 * 3600  # The released model on a CPU takes hours


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A picture and a voice become a talking video.")
    parser.add_argument("--image", type=Path, default=INPUTS / "character.png", help="the picture of the person")
    parser.add_argument("--audio", type=Path, default=INPUTS / "speech.flac", help="the voice")
    parser.add_argument("--pose", type=Path, help="a pose folder or pose file (default: hands from the voice)")
    parser.add_argument("--output", type=Path, help="the video to write, .mp4 (default: a new one in demo/output)")
    parser.add_argument("--width", type=int, help="pixels (default, as 0: what the model was trained at)")
    parser.add_argument("--height", type=int, help="pixels (default: as the width, and the width as the height)")
    parser.add_argument("--frames", type=int, default=0, help="frames, 24 a second (default: as long as the voice)")
    parser.add_argument(
        "--model",
        help="standard, accelerated, or the path of a one-file model "
        "(default: what is in the models folder of ComfyUI, else the pack's own small model)",
    )
    return parser.parse_args()


def write_tiny_models(python: Path, models: Path) -> None:
    script = Path(__file__).with_name("tiny_models.py")
    done = subprocess.run([python, script, models], capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"The tiny models could not be written to {models}:\n{tail(done.stdout + done.stderr)}")


def add_input(path: Path, folder: Path) -> str:
    """Copy a file or folder into ComfyUI's input directory and return its name there."""
    target = folder / path.name
    if target.exists() and target.samefile(path):
        return path.name
    # Nothing of an earlier input of this name may stay: poses of two folders would mix
    if target.is_dir():
        shutil.rmtree(target)
    elif target.exists():
        target.unlink()
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copy(path, target)
    return path.name


def make_video(options: argparse.Namespace, installation: Installation, base: Path) -> Path:
    """Run the first template in a real ComfyUI and return the video in its output directory.

    Raises
    ------
    SetupError : an input or a model cannot be used; said before ComfyUI starts.
    WorkflowError : ComfyUI's own words.
    """
    check_files(options, installation.python)
    choice = choose(options.model, installation, base / "models")
    say(choice.sentence)
    if choice.model == TINY_MODEL:
        write_tiny_models(installation.python, base / "models")
    device = device_arguments(installation.python)
    if choice.released and device:
        say("There is no GPU here: this takes hours on a CPU (--frames 24 --width 256 makes a quicker trial).")
    paths = choice.write_paths(base / "models.yaml")

    server = ComfyServer(installation, base, ("--extra-model-paths-config", str(paths), *device))
    say(f"starting ComfyUI; its log is {server.log}")
    with server:
        return run_workflow(server, options, choice)


def run_workflow(server: ComfyServer, options: argparse.Namespace, choice: Choice) -> Path:
    """Queue the workflow with the user's inputs, say how far it is, and return the video."""
    nodes = server.get("/object_info")
    prompt = to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), nodes)
    folder = server.base / "input"
    change(prompt, "LoadImage", image=add_input(options.image, folder))
    change(prompt, "LoadAudio", audio=add_input(options.audio, folder))
    if options.pose:
        take_pose(prompt, add_input(options.pose, folder))
    change(prompt, "EchoMimicV2Loader", model=choice.model)
    if not choice.released:
        # The small model knows people in the frame in which they are drawn.
        change(prompt, "EchoMimicV2AlignPose", framing="keep")
    change(prompt, "EchoMimicV2ReferenceEncode", width=options.width or 0, height=options.height or 0)
    change(prompt, "EchoMimicV2Sampler", frames=options.frames)
    titles = {id: nodes[node["class_type"]]["display_name"] or node["class_type"] for id, node in prompt.items()}
    say(f"running {WORKFLOW.name}")
    with Progress(server.url, titles) as progress:
        entry = server.run(prompt, PATIENCE_SECONDS, progress)
        say(f"done in {clock(time.monotonic() - progress.started)} ({progress.summary()})")
    for report in reports_of(entry):
        say(report)
    videos = [file for file in server.outputs(entry) if file.suffix == ".mp4"]
    if not videos:
        raise SetupError(f"ComfyUI finished without a video; see {server.log}")
    return videos[0]


def reports_of(entry: dict) -> list[str]:
    """What nodes show as text below them: how well picture and pose fit, and what to change."""
    return [text for output in entry["outputs"].values() for text in output.get("text", ()) if isinstance(text, str)]


def take_pose(prompt: dict, pose: str) -> None:
    """Take the hands from a pose in ComfyUI's input directory, and not from the voice."""
    for node in prompt.values():
        if node["class_type"] == "EchoMimicV2VoiceGestures":
            node["class_type"] = "EchoMimicV2LoadPose"
            node["inputs"] = {"folder": pose, "start_frame": 0, "frames": 0, "fps": 24.0}


def keep(video: Path, wanted: Path | None) -> Path:
    """Move the video to where it is wanted, whole or not at all, and never over another one."""
    from echomimic_core.files.durable import Draft, make_folder

    numbered = (OUTPUT / f"talking_{n:03}.mp4" for n in range(1, sys.maxsize))
    first, others = (wanted, ()) if wanted else (next(numbered), numbered)
    try:
        make_folder(first.parent)
        with Draft(first, replace=False, others=others) as made:
            shutil.copyfile(video, made.part)
    except (OSError, ValueError) as error:
        raise SetupError(f"{error}. The video lies in {video}.") from error
    video.unlink()
    return made.path


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Stopped from outside, ComfyUI stops as well
    options = parse_arguments()
    try:
        check_options(options, OUTPUT)
        print(keep(make_video(options, prepare(), make_base(CACHE / "demo")), options.output))
    except (SetupError, WorkflowError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:  # A full disk, a folder that may not be written, a server that is gone
        print(f"The demo had to stop: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The main job with one command: python3 demo/run.py (standard library only, any OS).

Sets up a real ComfyUI with this pack (see comfy_setup.py), runs the quick-start workflow on a picture, a voice and
hand poses, and prints the path of the video in its last line. --help tells how to give it your own.
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

from comfy_server import ComfyServer, WorkflowError
from comfy_setup import CACHE, REPO, Installation, SetupError, device_arguments, make_base, prepare, say, tail
from comfy_workflow import change, to_prompt

INPUTS = REPO / "demo" / "inputs"
OUTPUT = REPO / "demo" / "output"
WORKFLOW = REPO / "workflows" / "talking_picture.json"
MODEL_SIZE, TINY_SIZE = 768, 128
TINY_MODEL, TINY_VAE = "tiny.safetensors", "tiny_vae.safetensors"
RELEASED = {"accelerated": "denoising_unet_acc", "standard": "denoising_unet"}  # by the file that makes the variant
VAE_DOWNLOAD = "https://huggingface.co/stabilityai/sd-vae-ft-mse-original (vae-ft-mse-840000-ema-pruned.safetensors)"
PATIENCE_SECONDS = 24 * 3600  # the released model on a CPU takes hours


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A picture, a voice and hand poses become a talking video.")
    parser.add_argument("--image", type=Path, default=INPUTS / "character.png", help="the picture of the person")
    parser.add_argument("--audio", type=Path, default=INPUTS / "speech.flac", help="the voice")
    parser.add_argument("--pose", type=Path, default=INPUTS / "gesture.json", help="a pose folder or pose file")
    parser.add_argument("--output", type=Path, help="the video to write, .mp4 (default: a new one in demo/output)")
    parser.add_argument("--width", type=int, help=f"pixels (default: {MODEL_SIZE}; {TINY_SIZE} without real weights)")
    parser.add_argument("--height", type=int, help="pixels (default: as the width)")
    parser.add_argument("--frames", type=int, default=0, help="frames, 24 a second (default: as long as the voice)")
    parser.add_argument(
        "--model",
        help="standard, accelerated, or the path of a one-file model "
        "(default: what is in the models folder of ComfyUI; without real weights, random ones)",
    )
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    """Raise SetupError for an option that cannot work; make paths absolute."""
    for name in ("image", "audio", "pose", "output"):
        path = getattr(options, name)
        if path is not None:
            setattr(options, name, path.expanduser().resolve())
    for name in ("image", "audio"):
        if not getattr(options, name).is_file():
            raise SetupError(f"--{name} is {getattr(options, name)}, but there is no such file.")
    if not options.pose.exists():
        raise SetupError(f"--pose is {options.pose}, but there is no such pose folder or pose file.")
    for name in ("width", "height"):
        value = getattr(options, name)
        if value is not None and (value < 64 or value % 8):
            raise SetupError(f"--{name} is {value}, but must be a multiple of 8 and at least 64.")
    if options.frames < 0:
        raise SetupError(f"--frames is {options.frames}, but must be 1 or more, or 0 for as long as the voice.")
    if options.output and options.output.suffix != ".mp4":
        raise SetupError(f"--output is {options.output}, but the video is an .mp4: let its name end so.")
    if options.output and options.output.exists():
        raise SetupError(f"--output is {options.output}, which exists: give another name, nothing is overwritten.")
    if options.model and options.model not in RELEASED and not Path(options.model).expanduser().is_file():
        raise SetupError(f"--model is {options.model}, but this is neither standard, accelerated nor a file.")


def choose_model(wanted: str | None, models: Path) -> tuple[str | None, Path]:
    """Return the loader's choice and the folder it lies in; the choice is None where there are no real weights."""
    folder = models / "echomimic"
    if wanted and wanted not in RELEASED:
        path = Path(wanted).expanduser().resolve()
        return path.name, path.parent
    if wanted:
        return wanted, folder
    for variant, stem in RELEASED.items():
        if any(folder.rglob(stem + ".*")):
            return variant, folder
    one_file = sorted(folder.glob("*.safetensors"))
    return (one_file[0].name, folder) if one_file else (None, folder)


def choose_vae(models: Path) -> str:
    files = sorted((models / "vae").glob("*.safetensors"))
    if not files:
        raise SetupError(f"There is no VAE in {models / 'vae'}: put the one of {VAE_DOWNLOAD} there.")
    return next((file.name for file in files if "mse" in file.name), files[0].name)


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
    # nothing of an earlier input of this name may stay: poses of two folders would mix
    if target.is_dir():
        shutil.rmtree(target)
    elif target.exists():
        target.unlink()
    if path.is_dir():
        shutil.copytree(path, target)
    else:
        shutil.copy(path, target)
    return path.name


def make_video(options: argparse.Namespace, installation: Installation) -> Path:
    """Run the quick-start workflow in a real ComfyUI and return the video in its output directory."""
    base = make_base(CACHE / "demo")
    models = installation.comfyui / "models"
    model, folder = choose_model(options.model, models)
    size = MODEL_SIZE
    if model:
        vae = choose_vae(models)
        say(f"model: {model} from {folder}, VAE: {vae}")
    else:
        say(f"No EchoMimicV2 weights in {folder}: tiny random ones make coloured noise instead of a person.")
        write_tiny_models(installation.python, base / "models")
        model, vae, size = TINY_MODEL, TINY_VAE, TINY_SIZE
    paths = base / "models.yaml"  # JSON is YAML
    paths.write_text(json.dumps({"demo": {"echomimic": str(folder), "vae": str(models / "vae")}}), encoding="utf-8")
    arguments = ("--extra-model-paths-config", str(paths), *device_arguments(installation.python))

    say("starting ComfyUI")
    with ComfyServer(installation, base, arguments) as server:
        prompt = to_prompt(json.loads(WORKFLOW.read_text(encoding="utf-8")), server.get("/object_info"))
        width = options.width or size
        change(prompt, "LoadImage", image=add_input(options.image, base / "input"))
        change(prompt, "LoadAudio", audio=add_input(options.audio, base / "input"))
        change(prompt, "EchoMimicV2LoadPose", folder=add_input(options.pose, base / "input"))
        change(prompt, "EchoMimicV2Loader", model=model)
        change(prompt, "VAELoader", vae_name=vae)
        change(prompt, "EchoMimicV2ReferenceEncode", width=width, height=options.height or width)
        change(prompt, "EchoMimicV2Sampler", frames=options.frames)
        change(prompt, "SaveVideo", filename_prefix="talking")
        say(f"running {WORKFLOW.name}")
        started = time.monotonic()
        entry = server.run(prompt, PATIENCE_SECONDS)
        say(f"done in {time.monotonic() - started:.0f} s")
        videos = [file for file in server.outputs(entry) if file.suffix == ".mp4"]
    if not videos:
        raise SetupError(f"ComfyUI finished without a video; see {server.log}")
    return videos[0]


def keep(video: Path, wanted: Path | None) -> Path:
    """Move the video to where it is wanted, never over another one."""
    target = wanted
    if target is None:
        target = next(path for n in range(1, sys.maxsize) if not (path := OUTPUT / f"talking_{n:03}.mp4").exists())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(video, target)
    except OSError as error:
        raise SetupError(f"The video could not be written to {target} ({error}); it lies in {video}.") from error
    return target


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped from outside, ComfyUI stops as well
    options = parse_arguments()
    try:
        check(options)
        print(keep(make_video(options, prepare()), options.output))
    except (SetupError, WorkflowError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The main job with one command: python3 demo/run.py (standard library only, any OS).

Sets up a real ComfyUI with this pack (see comfy_setup.py), runs the quick-start workflow on a picture, a voice and
hand poses, and prints the path of the video in its last line. --help tells how to give it your own.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

from comfy_server import ComfyServer, WorkflowError
from comfy_setup import CACHE, REPO, Installation, SetupError, has_accelerator, make_base, prepare, say
from comfy_workflow import nodes_of, to_prompt

INPUTS = REPO / "demo" / "inputs"
OUTPUT = REPO / "demo" / "output"
WORKFLOW = REPO / "workflows" / "talking_picture.json"
TINY_MODEL, TINY_VAE, TINY_SIZE = "tiny.safetensors", "tiny_vae.safetensors", 256
PIXELS_PER_LATENT = 8
PATIENCE_SECONDS = 24 * 3600  # the released model on a CPU takes hours


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A picture, a voice and hand poses become a talking video.")
    parser.add_argument("--image", type=Path, default=INPUTS / "character.png", help="the picture of the person")
    parser.add_argument("--audio", type=Path, default=INPUTS / "speech.flac", help="the voice")
    parser.add_argument("--pose", type=Path, default=INPUTS / "gesture.json", help="a pose folder or pose file")
    parser.add_argument("--output", type=Path, help="the video to write, .mp4 (default: a new one in demo/output)")
    parser.add_argument("--width", type=int, help="pixels (default: 768, or 256 with the tiny model)")
    parser.add_argument("--height", type=int, help="pixels (default: as the width)")
    parser.add_argument("--frames", type=int, default=0, help="frames at 24 a second (default: as long as the voice)")
    parser.add_argument("--models", type=Path, help="a models folder with echomimic/ and vae/ in it")
    return parser.parse_args()


def check(options: argparse.Namespace) -> None:
    for name in ("image", "audio", "pose"):
        path = getattr(options, name).expanduser().resolve()
        if not path.exists():
            raise SetupError(f"--{name} is {path}, but there is no such file.")
        if name != "pose" and not path.is_file():
            raise SetupError(f"--{name} is {path}, but this is a folder: give a file.")
        setattr(options, name, path)
    for name in ("width", "height"):
        value = getattr(options, name)
        if value is not None and (value < 64 or value % PIXELS_PER_LATENT):
            raise SetupError(f"--{name} is {value}, but must be a multiple of {PIXELS_PER_LATENT} and at least 64.")
    if options.frames < 0:
        raise SetupError(f"--frames is {options.frames}, but must be 1 or more (0: as long as the voice).")
    if options.output:
        options.output = options.output.expanduser().resolve()
        if options.output.suffix != ".mp4":
            raise SetupError(f"--output is {options.output}, but the video is an .mp4: let the name end so.")
        if options.output.exists():
            raise SetupError(f"--output is {options.output}, which exists: give another name, nothing is overwritten.")

"""Train the demo's own model from nothing with this pack's training: python -m demo.world.train OUT --whisper FILE.

World, VAE, single pictures, clips: each step is left out where its result is there, and training goes on at its last
checkpoint, so a stopped run is simply started again. OUT/nano.safetensors and OUT/nano_vae.safetensors are the result.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CONFIGS = Path(__file__).with_name("configs")


def run(*arguments: str | Path) -> None:
    """Run a Python module of this repository to its end."""
    print("python -m", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=REPO, check=True)


def train_stage(name: str, out: Path, processes: int, *changes: str) -> Path:
    """Train by a configuration on so many processes; the model's file."""
    folder = out / name
    made = sorted(folder.glob("step-*/*.safetensors"))
    if not (folder / "done").exists():
        launch = ["accelerate.commands.launch", "--num_processes", processes, "--num_machines", 1, "--dynamo_backend"]
        launch += ["no", "--mixed_precision", "no", *(["--multi_gpu"] if processes > 1 and _gpus() else [])]
        launch += [] if _gpus() else ["--cpu"]
        resume = ["--resume"] if made else []
        settings = [f"output={folder}", *changes]
        sets = [word for setting in settings for word in ("--set", setting)]
        run(*map(str, launch), "-m", "echomimic_core.training", CONFIGS / f"{name}.yaml", *resume, *sets)
        (folder / "done").touch()
    return sorted(folder.glob("step-*/*.safetensors"))[-1]


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--whisper", type=Path, required=True, help="Whisper tiny's encoder")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--speeches", type=int, default=64, help="of 8 clips each")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    out, whisper = given.out.resolve(), given.whisper.resolve()
    world, vae, narrow = out / "world", out / "nano_vae.safetensors", out / "nano_vae_narrow.safetensors"
    if not (world / "manifest.json").exists():
        run("demo.world.make", world, "--whisper", whisper, "--speeches", given.speeches, "--size", given.size)
    if not vae.exists():
        device = "cuda" if _gpus() else "cpu"
        run("demo.world.train_vae", world, vae, "--device", device)
    common = (f"data.folders=[{world}]", f"data.size={given.size}", f"vae={narrow}")
    pictures = train_stage("pictures", out, given.processes, *common)
    clips = train_stage("clips", out, given.processes, *common, f"init.file={pictures}")
    print(clips)


if __name__ == "__main__":
    main()

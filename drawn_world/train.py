"""Train the demo's own model from nothing with this pack's training: python -m drawn_world.train OUT --whisper FILE.

World, VAE, single pictures, clips: each step is left out where its result is there, and training goes on at its last
checkpoint, so a stopped run is simply started again. OUT/nano.safetensors is the result, all in one file.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from echomimic_core.models.build import build, config_of

REPO = Path(__file__).resolve().parents[1]
CONFIGS = Path(__file__).with_name("configs")


def run(*arguments: str | Path) -> None:
    """Run a Python module of this repository to its end."""
    print("python -m", *arguments, flush=True)
    environment = os.environ if _gpus() else {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=REPO, env=environment, check=True)


def train_stage(name: str, out: Path, processes: int, *changes: str) -> Path:
    """Train by a configuration on so many processes; the model's file."""
    folder = out / name
    made = sorted(folder.glob("step-*/echomimicv2.safetensors"))
    if not (folder / "done").exists():
        # Torchrun starts processes on processors as on GPUs; accelerate launch would want MPI there
        launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", processes]
        resume = ["--resume"] if made else []
        settings = [f"output={folder}", *changes]
        sets = [word for setting in settings for word in ("--set", setting)]
        run(*launch, "-m", "echomimic_core.training", CONFIGS / f"{name}.yaml", *resume, *sets)
        (folder / "done").touch()
    return sorted(folder.glob("step-*/echomimicv2.safetensors"))[-1]


def bundle(model: Path, whisper: Path, vae: Path, out: Path) -> None:
    """Write all that the demo needs in float16 as one file that the loader node reads.

    Parameters
    ----------
    model, whisper, vae : files with the trained networks, Whisper tiny's encoder, and the VAE as ComfyUI reads it;
        the latter two may also be one-file models that have them inside.
    """
    import torch

    from echomimic_core.files.checkpoints import TensorFile, open_one_file, save_one_file
    from echomimic_core.files.vae import open_vae
    from echomimic_core.models.audio_encoder import build_audio_encoder
    from echomimic_core.models.build import NETWORKS

    files = open_one_file(model)
    networks = {name: build(files, name, config_of(files), torch.float32).state_dict() for name in NETWORKS}
    networks["audio_encoder"] = build_audio_encoder(TensorFile(whisper).state_dict()).encoder.state_dict()
    vae_file, prefix = open_vae(vae)
    networks["vae"] = vae_file.state_dict(prefix)
    about = {
        "title": "EchoMimicV2 nano: the small model of the demo, which knows drawn people only",
        "made_by": "drawn_world, see docs/drawn_world.md",
        "size": str(files.size),
        "license": "Apache-2.0 AND MIT",
        "weights": "trained from nothing on the drawn world of drawn_world; Apache-2.0",
        "vae": "TAESD's architecture, trained from nothing on the drawn world of drawn_world; Apache-2.0",
        "audio_encoder": "encoder of Whisper tiny.en, OpenAI; MIT, its text in LICENSE.whisper.txt",
    }
    save_one_file(out, networks, files.variant, config_of(files), torch.float16, about)


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
        run("drawn_world.make", world, "--whisper", whisper, "--speeches", given.speeches, "--size", given.size)
    if not vae.exists():
        device = "cuda" if _gpus() else "cpu"
        run("drawn_world.train_vae", world, vae, "--device", device)
    common = (f"data.folders=[{world}]", f"data.size={given.size}", f"vae={narrow}")
    pictures = train_stage("pictures", out, given.processes, *common)
    clips = train_stage("clips", out, given.processes, *common, f"init.file={pictures}")
    bundle(clips, whisper, vae, out / "nano.safetensors")


if __name__ == "__main__":
    main()

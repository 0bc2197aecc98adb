"""Train the demo's own model from nothing with this pack's training: python -m drawn_world.train OUT --whisper FILE.

World, VAE, single pictures, clips: each stage is left out where its result is there, and goes on at its last
checkpoint, so a stopped run is simply started again; `--stages` runs some of them. OUT/small.safetensors is the result,
all in one file.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from echomimic_core.models.build import build, config_of

REPO = Path(__file__).resolve().parents[1]
CONFIGS = Path(__file__).with_name("configs")


def run(*arguments: str | Path) -> None:
    """Run a Python module of this repository to its end."""
    print("python -m", *arguments, flush=True)
    environment = os.environ if _gpus() else {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=REPO, env=environment, check=True)


def trained(out: Path, stage: str) -> Path | None:
    """The model's file of the last checkpoint of a stage, if there is one."""
    return next(reversed(sorted((out / stage).glob("step-*/echomimicv2.safetensors"))), None)


def train_stage(name: str, out: Path, processes: int, *changes: str, recipe: str = "nano") -> Path:
    """Train by a configuration on so many processes, from the last checkpoint if there is one; the model's file."""
    folder = out / name
    if not (folder / "done").exists():
        # Torchrun starts processes on processors as on GPUs; accelerate launch would want MPI there
        launch = ["torch.distributed.run", "--standalone", "--nproc_per_node", processes]
        resume = ["--resume"] if trained(out, name) else []
        settings = [f"output={folder}", *changes]
        sets = [word for setting in settings for word in ("--set", setting)]
        run(*launch, "-m", "echomimic_core.training", CONFIGS / f"{recipe}_{name}.yaml", *resume, *sets)
        (folder / "done").touch()
    return trained(out, name)


def bundle(model: Path, whisper: Path, vae: Path, out: Path, name: str = "nano") -> None:
    """Write all that the demo needs in float16 as one file that the loader node reads.

    Parameters
    ----------
    name : of the model, for its title.
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
        "title": f"EchoMimicV2 {name}: the small model of the demo, which knows drawn people only",
        "made_by": "drawn_world, see docs/drawn_world.md",
        "size": str(files.size),
        "license": "Apache-2.0 AND MIT",
        "weights": "trained from nothing on the drawn world of drawn_world; Apache-2.0",
        "vae": "trained from nothing on the drawn world of drawn_world; Apache-2.0",
        "audio_encoder": "encoder of Whisper tiny.en, OpenAI; MIT, its text in LICENSE.whisper.txt",
    }
    save_one_file(out, networks, files.variant, config_of(files), torch.float16, about)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


@dataclass(frozen=True)
class Recipe:
    """How one of the models is trained: look and size of its world, latent steps, and the VAE file that training reads
    and the one that goes into the model."""

    name: str
    look: str
    size: int
    vae: str
    shipped_vae: str

    def train_vae(self, world: Path, out: Path, *changes: str | Path) -> None:
        """Train the VAE unless that has been done; a stopped one goes on."""
        done = out / "vae_done"
        if not done.exists():
            module = "drawn_world.train_latents" if self.name == "small" else "drawn_world.train_vae"
            run(module, world, out / self.shipped_vae, *changes)
            done.touch()


RECIPES = {
    "small": Recipe("small", "shaded", 256, "latents.safetensors", "latents.safetensors"),
    # The shipped one; its VAE is trained narrow and saved wide
    "nano": Recipe("nano", "simple", 128, "nano_vae_narrow.safetensors", "nano_vae.safetensors"),
}
STAGES = ("world", "vae", "pictures", "clips", "bundle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--whisper", type=Path, required=True, help="Whisper tiny's encoder")
    parser.add_argument("--model", choices=tuple(RECIPES), default="small", help="which one (default %(default)s)")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, help="only these, of which all go on")
    parser.add_argument("--start", type=Path, help="a model to begin with where there is no checkpoint in OUT")
    parser.add_argument("--speeches", type=int, default=64, help="of 8 clips each")
    parser.add_argument("--processes", type=int, default=2, help="of one thread each")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="of the stage's settings")
    given = parser.parse_args()
    recipe, out, whisper = RECIPES[given.model], given.out.resolve(), given.whisper.resolve()
    world = out / "world"
    if "world" in given.stages:
        filmed = ("--speeches", given.speeches, "--size", recipe.size, "--look", recipe.look)
        run("drawn_world.make", world, "--whisper", whisper, *filmed, "--workers", given.processes)
    if "vae" in given.stages:
        recipe.train_vae(world, out, *(("--device", "cuda") if _gpus() and recipe.name == "nano" else ()))
    common = (f"data.folders=[{world}]", f"data.size={recipe.size}", f"vae={out / recipe.vae}", *given.set)
    start = () if given.start is None else ("init.source=one_file", f"init.file={given.start.resolve()}")
    if "pictures" in given.stages:
        train_stage("pictures", out, given.processes, *common, *start, recipe=recipe.name)
    if "clips" in given.stages:
        begin = f"init.file={trained(out, 'pictures') or given.start.resolve()}"
        train_stage("clips", out, given.processes, *common, begin, recipe=recipe.name)
    if "bundle" in given.stages:
        bundle(
            trained(out, "clips"), whisper, out / recipe.shipped_vae, out / f"{recipe.name}.safetensors", recipe.name
        )


if __name__ == "__main__":
    main()

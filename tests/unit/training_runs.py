"""Runs of training as users start them, on small networks: a configuration, a command, and what comes out."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import training_clips as clips
import yaml
from safetensors.torch import load_file

REPO = Path(__file__).resolve().parents[2]
PATIENCE = 240


@pytest.fixture(autouse=True)
def fresh_accelerate():
    """accelerate keeps one precision for a whole process, which real runs never share."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def write_config(folder, files, **sections):
    """A run of four steps through three phases of APDH, on small networks, with everything switched on."""
    content = {
        "output": str(folder / "run"),
        "model": dataclasses.asdict(clips.MICRO),
        "vae": str(files / "vae.safetensors"),
        "data": {
            "folders": [str(files / "clips")],
            "size": 64,
            "frames": 3,
            "workers": 0,
            "flips": 0.5,
            "reference_distance": 3,
        },
        "train": {
            "stage": 2,
            "parts": ["reference_unet", "denoising_unet", "pose_encoder", "motion_modules", "audio_attention"],
            "steps": 4,
            "batch_size": 4,
            "condition_dropout": 0.3,
            "picture_dropout": 0.3,
            "audio_dropout": 0.3,
            "ema_decay": 0.9,
        },
        "optimizer": {
            "learning_rate": 1e-4,
            "warmup_steps": 2,
            "schedule": "cosine",
            "decay_steps": 6,
        },
        "apdh": {
            "phases": [
                {"name": "initial", "steps": 1},
                {"name": "lips", "steps": 2, "keypoints": ["hands"], "pose_dropout": [0.2, 0.2], "audio": "lips"},
                {"name": "body", "steps": 1, "keypoints": ["hands"], "audio": "body"},
            ]
        },
        "loss": {"lpips": "stand-in"},
        "checkpoint": {"every": 2, "keep": 2},
        "validation": {"every": 0},
    }
    for name, values in sections.items():
        content[name] = {**content.get(name, {}), **values} if isinstance(values, dict) else values
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def environment():
    return {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}


def command(*arguments, processes=1, script=None):
    """The command of a run; `script` of this folder starts its processes in place of the package."""
    start = [sys.executable]
    if processes > 1:
        # On processors alone, accelerate launch would want MPI; torchrun starts the same processes
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    start += [str(REPO / "tests" / "unit" / script)] if script else ["-m", "echomimic_core.training"]
    return [*start, *map(str, arguments)]


def run(*arguments, processes=1, script=None):
    done = subprocess.run(
        command(*arguments, processes=processes, script=script),
        cwd=REPO,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return done.returncode, done.stdout + done.stderr


def weights(folder, step=4):
    return load_file(folder / "run" / f"step-{step:08d}" / "state" / "trained.safetensors")


def averages(folder, step=4):
    return load_file(folder / "run" / f"step-{step:08d}" / "ema.safetensors")


def settings_of(folder, files, **sections):
    from echomimic_core.training.settings import load_settings

    return load_settings(write_config(folder, files, **sections))

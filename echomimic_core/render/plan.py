"""What a dry run says of a job: how long its clip is, how much memory it takes, and, once measured, how much time."""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..config import CONTEXT_FRAMES, CONTEXT_OVERLAP, PIXELS_PER_LATENT, VARIANTS
from ..files.checkpoints import AUDIO_ENCODER, VAE, ModelFiles
from ..files.tensor_file import TensorFile
from ..models.build import NETWORKS, config_of
from ..networks.frozen_vae import FRAMES_AT_ONCE
from ..sampling.memory import GIB, ON_CPU, Batching, RunSize, estimate
from .clip import HELD_FRAMES, ClipSettings, clip, size_of
from .models import Models, open_model

WARM_STEPS = 3


@dataclass(frozen=True)
class Pace:
    """Seconds measured on this machine: of a window in one step, and of a frame that is decoded and written."""

    window: float
    frame: float

    def __str__(self) -> str:
        return f"{self.window:.3g} s per window and step, {self.frame:.3g} s per frame decoded"


class Planner:
    """Says what jobs take with one model; nothing of it is loaded.

    Raises
    ------
    ValueError : the files are not those of a model.
    """

    def __init__(self, model: Path, vae: Path | None, audio_encoder: Path | None, variant: str, device, dtype):
        files = open_model(model, variant)
        self.on_cpu = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")).type == "cpu"
        self.itemsize = (dtype or (torch.float32 if self.on_cpu else torch.float16)).itemsize
        self.config, self.variant, self.size = config_of(files), VARIANTS[files.variant], files.size
        self.weights = _weight_bytes(files, vae, audio_encoder, self.itemsize)

    def steps(self, settings: ClipSettings) -> int:
        return settings.steps or self.variant.steps

    def memory(self, settings: ClipSettings, frames: int) -> int:
        """Bytes that a clip needs at most, by the estimate of the samplers: while sampling or while decoding."""
        width, height = (side // PIXELS_PER_LATENT for side in size_of(settings, self.size))
        guided = (settings.guidance or self.variant.guidance_scale) > 1
        frames = min(frames, settings.segment_frames or frames)
        run = RunSize(self.config, height, width, frames, CONTEXT_FRAMES, guided, self.itemsize, self.weights)
        needed = estimate(run, ON_CPU if self.on_cpu else Batching())
        return max(needed.sampling, self.weights + min(FRAMES_AT_ONCE, frames) * needed.decode)

    def seconds(self, settings: ClipSettings, frames: int, pace: Pace) -> float:
        """What the pace makes of a clip."""
        windows = frames / (CONTEXT_FRAMES - CONTEXT_OVERLAP)
        if settings.segment_frames and frames > settings.segment_frames:
            windows *= settings.segment_frames / (settings.segment_frames - HELD_FRAMES)
        return math.ceil(windows) * self.steps(settings) * pace.window + frames * pace.frame


def measure(models: Models, settings: ClipSettings) -> Pace:
    """The pace of a clip of one window with these settings, after a first step that does not count."""
    side = max(size_of(settings, models.size))
    picture, voice = np.full((side, side, 3), 127, np.uint8), np.zeros(16000, np.float32)
    marks: list[float] = []
    tried = replace(settings, frames=CONTEXT_FRAMES, steps=WARM_STEPS, segment_frames=0, align=False)
    made = clip(models, picture, voice, None, tried, lambda *_: marks.append(time.monotonic()))
    count = sum(1 for _ in made)
    window = (marks[-1] - marks[1]) / (len(marks) - 2)
    return Pace(window, max(time.monotonic() - marks[-1] - window, 0.0) / count)


def said_of(seconds: float) -> str:
    """A time that people can read."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 6000 else _hours(seconds)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


def _weight_bytes(files: ModelFiles, vae: Path | None, audio_encoder: Path | None, itemsize: int) -> int:
    """Bytes of the weights as `load_models` keeps them: the networks in their dtype, encoder and VAE in float32."""

    def numbers(file: TensorFile, prefix: str = "") -> int:
        return sum(math.prod(file.shape(name)) for name in file.names() if name.startswith(prefix))

    inside = {name: sum(numbers(*part) for part in parts) for name, parts in files.networks.items()}
    others = {AUDIO_ENCODER: audio_encoder, VAE: vae}
    outside = {name: numbers(TensorFile(path)) for name, path in others.items() if path is not None and path.is_file()}
    counted = {**inside, **outside}
    return sum(count * (itemsize if name in NETWORKS else 4) for name, count in counted.items())

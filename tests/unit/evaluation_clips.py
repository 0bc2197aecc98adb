"""Small videos and small networks with known answers, for the tests of the evaluation."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from echomimic_core.video import VideoWriter

REPO = Path(__file__).resolve().parents[2]
RATE = 16_000


def bundles(*names: str) -> Path:
    """A folder with these MediaPipe bundles; skips without one (tests/unit/mediapipe_bundle.py makes it)."""
    places = [os.environ.get("MEDIAPIPE_MODELS"), REPO / ".cache" / "mediapipe", REPO.parent / "shared" / "models"]
    for place in filter(None, places):
        if all((Path(place) / name).is_file() for name in names):
            return Path(place)
    pytest.skip(f"no folder with {' and '.join(names)}: set MEDIAPIPE_MODELS")


def moving_picture(frames: int, size: int = 64, seed: int = 0) -> np.ndarray:
    """A smooth coloured pattern that moves: (frames, size, size, 3) uint8."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 6, (3, 3))
    y, x = np.mgrid[:size, :size] / size * 6
    pictures = []
    for frame in range(frames):
        waves = [np.sin(x + p[0] + frame / 5) + np.sin(y + p[1] - frame / 7) + np.sin(x + y + p[2]) for p in phase]
        pictures.append(np.stack(waves, -1))
    return ((np.stack(pictures) / 6 + 0.5) * 255).clip(0, 255).astype(np.uint8)


def noisy(pictures: np.ndarray, strength: float, seed: int = 1) -> np.ndarray:
    """The pictures with Gaussian noise of that standard deviation (of 255)."""
    noise = np.random.default_rng(seed).normal(0, strength, pictures.shape)
    return (pictures + noise).round().clip(0, 255).astype(np.uint8)


def write(path: Path, pictures: np.ndarray, sound: np.ndarray | None = None, fps: float = 24) -> Path:
    """A video file of pictures (F, H, W, 3) and of a 16 kHz sound (samples,)."""
    audio = None if sound is None else (sound[None], RATE)
    with VideoWriter(path, fps, pictures.shape[2], pictures.shape[1], audio) as film:
        film.write(pictures)
    return path


class Pooled(nn.Module):
    """Any pictures (N, 3, …) to 8 features: averages over a coarse grid, and how rough the picture is."""

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rough = (x[..., 1:] - x[..., :-1]).abs().flatten(2).mean(2)
        mean = x.flatten(2).mean(2)
        spread = x.flatten(2).std(2)
        return torch.cat([rough, mean, spread], 1)[:, :8] * self.scale


# Brightness 0..1 is told by this range of log energy.
DECADES = 6.0


def spoken(frames: int, shift: int = 0, size: int = 64, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Pictures at 25 fps whose brightness follows a sound that comes `shift` frames later than they."""
    levels = np.random.default_rng(seed).uniform(0.1, 0.9, frames)
    pictures = np.broadcast_to((levels * 255).astype(np.uint8)[:, None, None, None], (frames, size, size, 3)).copy()
    heard = np.roll(levels, shift)
    amplitude = np.repeat(0.5 * np.exp((heard - 1) * DECADES / 2), RATE // 25)
    tone = np.sin(2 * np.pi * 1000 * np.arange(len(amplitude)) / RATE)
    return pictures, (amplitude * tone).astype(np.float32)


class Listener(nn.Module):
    """A SyncNet made by hand: the brightness of five frames, and the loudness of their time, without their means.

    Loudness is heard through MFCC's first coefficient, the log energy, of which four steps make a frame.
    """

    def __init__(self):
        super().__init__()
        self.decades = DECADES

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
        level = x.mean([1, 3, 4]) / 255
        return level - level.mean(1, keepdim=True)

    @torch.jit.export
    def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
        level = x[:, 0, 0].reshape(-1, 5, 4).mean(2) / self.decades
        return level - level.mean(1, keepdim=True)


class Pair(nn.Module):
    """A distance of two pictures in the form of a scripted LPIPS."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean([1, 2, 3])


def small_networks(folder: Path) -> Path:
    """A folder of hand-made networks under the names that the evaluation looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in {
        "inception-2015-12-05.pt": Pooled(),
        "i3d_torchscript.pt": Pooled(),
        "syncnet.pt": Listener(),
        "lpips_alex.pt": Pair(),
        "arcface.pt": Pooled(),
        "deep3d.pt": Pooled(),
    }.items():
        torch.jit.script(module).save(str(folder / name))
    return folder

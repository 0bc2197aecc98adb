"""Small videos and small networks with known answers, for the tests of the evaluation."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from echomimic_core.evaluation.faces import Face
from echomimic_core.media.video import VideoWriter

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


class Texture(nn.Module):
    """An embedding whose direction is the roughness of a picture, whatever its brightness."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rough = (x[..., 1:] - x[..., :-1]).abs().flatten(2).mean(2)
        return torch.cat([torch.full_like(rough, 0.2), rough], 1)


def direction(level: torch.Tensor) -> torch.Tensor:
    level = level - level.mean(1, keepdim=True)
    return level / (level.square().sum(1, keepdim=True).sqrt() + 1e-6)


class Listener(nn.Module):
    """A SyncNet made by hand: the brightness of five frames, and the loudness of their time, as ups and downs.

    Loudness is heard through MFCC's first coefficient, the log energy, of which four steps make a frame.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def forward_lip(self, x: torch.Tensor) -> torch.Tensor:
        return direction(x.mean([1, 3, 4]))

    @torch.jit.export
    def forward_aud(self, x: torch.Tensor) -> torch.Tensor:
        return direction(x[:, 0, 0].reshape(-1, 5, 4).mean(2))


class Pair(nn.Module):
    """A distance of two pictures in the form of a scripted LPIPS."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean([1, 2, 3])


class Pointer(nn.Module):
    """A DWPose that points at the brightest row and column, the less surely the rougher the picture."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sure = torch.exp(-(x[..., 1:] - x[..., :-1]).abs().mean([1, 2, 3]))[:, None]
        across = torch.softmax(x.mean([1, 2]) * 3, 1)
        down = torch.softmax(x.mean([1, 3]) * 3, 1)
        across = across / across.amax(1, keepdim=True) * sure
        down = down / down.amax(1, keepdim=True) * sure
        return (
            across.repeat_interleave(2, 1)[:, None].expand(-1, 133, -1),
            down.repeat_interleave(2, 1)[:, None].expand(-1, 133, -1),
        )


class FixedFaces:
    """Stands in for the detector of faces: one in the middle of every picture that is not black.

    The mouth is as open as the picture is bright, and the expression is the picture's roughness and brightness.
    """

    def __init__(self, bundle: Path | None = None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        pass

    def __call__(self, picture: np.ndarray) -> Face | None:
        if picture.max() < 20:
            return None
        height, width = picture.shape[:2]
        corners = np.random.default_rng(0).uniform(0.25, 0.75, (478, 2))
        places = {10: (0.5, 0.25), 152: (0.5, 0.75), 1: (0.5, 0.55), 61: (0.4, 0.65), 291: (0.6, 0.65)}
        places |= {33: (0.33, 0.4), 133: (0.43, 0.4), 362: (0.57, 0.4), 263: (0.67, 0.4)}
        places |= {13: (0.5, 0.6), 14: (0.5, 0.6 + picture.mean() / 255 * 0.2)}
        for index, place in places.items():
            corners[index] = place
        rough = np.abs(np.diff(picture.astype(float), axis=1)).mean((0, 1)) / 255
        expression = np.concatenate([rough, picture.mean((0, 1)) / 255]).astype(np.float32)
        return Face(corners * (width, height), np.resize(expression, 52))


def face_bundle(folder: Path) -> Path:
    """A file that looks like a face landmarker with blendshapes, for `FixedFaces`."""
    with zipfile.ZipFile(folder / "face_landmarker.task", "w") as bundle:
        bundle.writestr("face_blendshapes.tflite", b"")
    return folder


def small_networks(folder: Path) -> Path:
    """A folder of hand-made networks under the names that the evaluation looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, module in {
        "inception-2015-12-05.pt": Pooled(),
        "i3d_torchscript.pt": Pooled(),
        "syncnet.pt": Listener(),
        "lpips_alex.pt": Pair(),
        "arcface.pt": Texture(),
        "deep3d.pt": Pooled(),
        "dw-ll_ucoco_384_bs5.torchscript.pt": Pointer(),
    }.items():
        torch.jit.script(module).save(str(folder / name))
    return folder

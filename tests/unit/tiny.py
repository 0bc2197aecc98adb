"""Small seeded networks for tests: the released architecture at a fraction of its width."""

from functools import lru_cache

import torch

from echomimic_core.config import TINY
from echomimic_core.models.build import NETWORKS, fill, random_state_dict
from echomimic_core.models.reference_unet import ReferenceFeatures
from echomimic_core.sampling.clip import ClipConditions, PackedAudio
from echomimic_core.sampling.denoiser import ClipDenoiser


@lru_cache(maxsize=8)
def network(name: str, seed: int = 0):
    with torch.device("meta"):
        module = NETWORKS[name](TINY)
    return fill(module, random_state_dict(module, seed).items())


def denoiser(seed: int = 0) -> ClipDenoiser:
    return ClipDenoiser(network("denoising_unet", seed), network("pose_encoder", seed))


@lru_cache(maxsize=16)
def reference(height: int = 8, width: int = 8, seed: int = 0) -> ReferenceFeatures:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        tokens = network("reference_unet")(torch.randn(1, 4, height, width, generator=generator))
    return ReferenceFeatures(tokens, height, width)


def conditions(frames: int, height: int = 8, width: int = 8, seed: int = 0, **changes) -> ClipConditions:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(frames, 3, 8 * height, 8 * width, generator=generator)
    audio = PackedAudio(torch.randn(frames, 50, 384, generator=generator))
    values = {
        "reference": reference(height, width, seed),
        "audio": audio,
        "pose_maps": lambda indices: maps[indices],
        **changes,
    }
    return ClipConditions(**values)


def relative_error(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours - expected).norm() / expected.norm())

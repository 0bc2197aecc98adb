"""One window of any size with every input it needs, on the meta device or with random numbers."""

from collections.abc import Callable

import torch

from echomimic_core.config import (
    AUDIO_DIM,
    AUDIO_TOKENS,
    ModelConfig,
)
from echomimic_core.models.chunks import CHUNK_ELEMENTS
from echomimic_core.models.context import WindowContext
from echomimic_core.models.denoising_unet import DenoisingUNet

from .original import original_velocity


def block_levels(config: ModelConfig) -> list[int]:
    """The level of each transformer block, in the order down, middle, up."""
    attending, depth = range(len(config.block_out_channels) - 1), config.layers_per_block
    down = [level for level in attending for _ in range(depth)]
    up = [level for level in reversed(attending) for _ in range(depth + 1)]
    return [*down, len(config.block_out_channels) - 1, *up]


def reference_tokens(config: ModelConfig, height: int, width: int, **factory) -> list[torch.Tensor]:
    """Random token maps of a picture whose latents are (height, width)."""
    shapes = []
    for level in block_levels(config):
        tokens = -(-height // 2**level) * -(-width // 2**level)
        shapes.append((1, tokens, config.block_out_channels[level]))
    return [torch.randn(shape, **factory) for shape in shapes]


def window_pair(
    unet: DenoisingUNet, pixels: int, frames: int, guided: bool = True, ceiling: int | None = CHUNK_ELEMENTS
) -> tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor]]:
    """(our evaluation, the original's) of the same window by the same network, on its device and in its dtype."""
    weight = unet.conv_in.weight
    factory = {"dtype": weight.dtype, "device": weight.device}
    cells = pixels // 8
    with torch.no_grad():
        latents = torch.randn(frames, 4, cells, cells, **factory)
        pose = torch.randn(frames, unet.config.block_out_channels[0], cells, cells, **factory)
        features = torch.randn(frames, AUDIO_TOKENS, AUDIO_DIM, **factory)
        tokens = reference_tokens(unet.config, cells, cells, **factory)
        timesteps = torch.full((1,), 500.0, device=weight.device)
        reference, audio = unet.project_reference(tokens), unet.project_audio(features)

    def ours() -> torch.Tensor:
        context = WindowContext(frames, frames if guided else 0, reference, audio, chunk_elements=ceiling)
        batch = torch.cat([latents, latents]) if guided else latents
        if batch.device.type == "cpu":  # As `ClipDenoiser` does
            batch = batch.contiguous(memory_format=torch.channels_last)
        return unet(batch, timesteps, context, pose)

    def original() -> torch.Tensor:
        return original_velocity(unet, latents, timesteps, tokens, features, pose, guided)

    return ours, original


def meta_window(
    config: ModelConfig,
    pixels: int,
    frames: int,
    guided: bool = True,
    dtype: torch.dtype = torch.float16,
    ceiling: int | None = CHUNK_ELEMENTS,
):
    """`window_pair` without numbers, for counting."""
    with torch.device("meta"):
        unet = DenoisingUNet(config, dtype=dtype)
    return window_pair(unet, pixels, frames, guided, ceiling)


def fill_randomly(module: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                bound = (3 / parameter[0].numel()) ** 0.5
                parameter.uniform_(-bound, bound)
            else:
                parameter.fill_(0.5)
    return module.eval().requires_grad_(False)

"""Reference U-Net: looks at the photo once and keeps what its self-attentions see."""

from dataclasses import dataclass
from itertools import count

import torch

from ..config import FRAME_SIZE, LATENT_CHANNELS, ModelConfig
from ..runtime import TorchOperations
from .attention import ReferenceBlock, SpatialTransformer
from .context import ReferenceContext
from .unet import UNetBackbone


@dataclass(frozen=True)
class ReferenceFeatures:
    """The photo as the denoising U-Net wants it.

    Attributes
    ----------
    tokens : the layer-normed tokens of the 16 transformer blocks in the order down, middle, up, each
        (pictures, height * width, channels).
    height, width : size of the latents, in cells of 8 pixels.
    fit : "crop" or "pad": how the picture was brought to this size; the pose has to follow.
    latents : the picture's own (1, c, height, width), unscaled, which a pinned background holds; None if not kept.
    channels : of the latents.
    """

    tokens: list[torch.Tensor]
    height: int
    width: int
    fit: str = "crop"
    latents: torch.Tensor | None = None
    channels: int = LATENT_CHANNELS


class ReferenceUNet(UNetBackbone):
    """The network that sees the photo; `picture_size` is the side in pixels of the photos it was trained on."""

    picture_size = FRAME_SIZE

    def __init__(self, config: ModelConfig, dtype=None, device=None, operations=TorchOperations):
        factory = {"operations": operations, "dtype": dtype, "device": device}
        heads, groups = config.attention_heads, config.norm_num_groups

        indices = count()

        def attention(channels: int) -> SpatialTransformer:
            block = ReferenceBlock(next(indices), channels, heads, **factory)
            return SpatialTransformer(block, channels, groups, **factory)

        super().__init__(config, attention, motion=None, **factory)

    def forward(self, latents: torch.Tensor, timesteps: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Tokens of the 16 transformer blocks for clean latents (pictures, c, height, width) scaled by 0.18215.

        The released model runs at timestep 0, the default.
        """
        if timesteps is None:
            timesteps = torch.zeros(1, device=latents.device)
        context = ReferenceContext()
        self.run_levels(self.first(latents), self.embed_time(timesteps, latents), context)
        return [tokens for _, tokens in sorted(context.tokens.items())]
